"""``sortgate plugins``: which components there are, where they come from and which parameters they take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from sortgate.cli.output import json_option, print_json, print_table, printable
from sortgate.plugins import RegisteredComponent, Registry, create_registry
from sortgate.settings import Settings


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--plugins-dir",
        type=click.Path(path_type=Path),
        help="Folder of one-file plugins.  [env: SORTGATE_PLUGINS_DIR]",
    )(json_option(command))


def _registry(plugins_dir: Path | None) -> Registry:
    settings = Settings.from_env(plugins_dir=plugins_dir)
    return create_registry(**settings.plugin_options())


@click.group(
    epilog="""\b
Examples:
  sortgate plugins list --json
  sortgate plugins show sortgate.words.v1"""
)
def plugins() -> None:
    """List installed plugins and their components."""


@plugins.command("list")
@_options
def list_components(plugins_dir: Path | None, as_json: bool) -> None:
    """List every component: the built-in ones, those of installed plugins and of the plugins folder."""
    found = _registry(plugins_dir).components()
    if as_json:
        print_json(found)
        return
    rows = [(component.kind, component.name, _provider(component), ", ".join(component.params)) for component in found]
    print_table(("kind", "name", "from", "parameters"), rows)


@plugins.command("show")
@click.argument("name")
@_options
def show_component(name: str, plugins_dir: Path | None, as_json: bool) -> None:
    """Show one component: what it does, its parameters with their defaults, and where it comes from."""
    component = _registry(plugins_dir).describe(name)
    if as_json:
        print_json(component)
        return
    click.echo(f"{component.name} ({component.kind}), from {_provider(component)}: {printable(component.origin)}")
    if component.doc:
        click.echo(printable(component.doc))
    for parameter, default in component.params.items():
        click.echo(f"  {parameter} ({default})" if default == "required" else f"  {parameter} = {default}")


def _provider(component: RegisteredComponent) -> str:
    return f"{component.distribution} {component.version}"

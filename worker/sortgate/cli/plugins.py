"""``sortgate plugins``: which components there are, where they come from and which parameters they take."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec

from sortgate.bundle import bundles_by_component
from sortgate.cli.output import json_option, print_json, print_table, printable
from sortgate.cli.plugin_bench import bench
from sortgate.cli.plugin_new import new
from sortgate.plugins import RegisteredComponent, Registry, create_registry
from sortgate.plugins.source import FILE_PREFIX, Source, canonical
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
  sortgate plugins show sortgate.words.v1
  sortgate plugins show sortgate-nltk --models models"""
)
def plugins() -> None:
    """List installed plugins and their components."""


plugins.add_command(new)
plugins.add_command(bench)


@plugins.command("list")
@_options
def list_components(plugins_dir: Path | None, as_json: bool) -> None:
    """List every component, command, reader and observer: built in, of installed plugins and of the plugins folder.

    A plugin that cannot be loaded is named on standard error, and the exit status is then 1.
    """
    registry = _registry(plugins_dir)
    found = registry.components()
    if as_json:
        print_json([*found, *(_fields(*each) for each in registry.others())])
    else:
        rows: list[tuple[str, ...]] = [
            (each.kind, each.name, _provider(each), ", ".join(each.params)) for each in found
        ]
        rows += [(kind, name, source.release, "") for kind, name, source in registry.others()]
        print_table(("kind", "name", "from", "parameters"), rows)
    for name in registry.unmatched:
        click.echo(f"sortgate: warning: no plugin here is called {printable(name)}, which a list names", err=True)
    for broken in registry.broken:
        click.echo(f"sortgate: error: {printable(str(broken.error))}", err=True)
    if registry.broken:
        raise SystemExit(1)


@plugins.command("show")
@click.argument("name")
@_options
@click.option(
    "--models",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of bundles, of which those are named that use it.  [env: SORTGATE_MODELS_DIR]",
)
def show_component(name: str, plugins_dir: Path | None, models: Path | None, as_json: bool) -> None:
    """Show a component, or all of a plugin: what it does, its parameters, where it comes from, which bundles use it.

    NAME is a component, or a distribution or plugin file as `list` names it.
    """
    registry = _registry(plugins_dir)
    plugin = canonical(name.removeprefix(FILE_PREFIX))
    chosen = [each for each in registry.components() if each.distribution == plugin]
    for broken in registry.broken:
        if broken.source.distribution == plugin:
            raise broken.error
    others = [each for each in registry.others() if each[2].distribution == plugin]
    if not chosen and not others:
        chosen = [registry.describe(name)]
    users = bundles_by_component(Settings.from_env(models_dir=models).models_dir)
    if as_json:
        shown = [
            {**msgspec.structs.asdict(each), "bundles": users.get((each.distribution, each.name), [])}
            for each in chosen
        ]
        shown += [_fields(*each) for each in others]
        print_json(shown[0] if chosen and chosen[0].name == name else shown)
        return
    for kind, what, source in others:
        click.echo(f"{what} ({kind}), from {source.release}: {printable(source.origin)}")
    if others and chosen:
        click.echo()
    for number, each in enumerate(chosen):
        if number:
            click.echo()
        _show(each, users.get((each.distribution, each.name), []))


def _show(component: RegisteredComponent, bundles: list[str]) -> None:
    click.echo(f"{component.name} ({component.kind}), from {_provider(component)}: {printable(component.origin)}")
    for line in component.documentation.splitlines():
        click.echo(printable(line))
    for parameter, default in component.params.items():
        click.echo(f"  {parameter} ({default})" if default == "required" else f"  {parameter} = {default}")
    if component.compatible:
        click.echo(f"bundles of: {component.distribution} {printable(component.compatible)}")
    if component.digest:
        click.echo(f"source: SHA-256 {component.digest}")
    if bundles:
        click.echo(f"used by: {printable(', '.join(bundles))}")


def _fields(kind: str, name: str, source: Source) -> dict[str, Any]:
    """Return what JSON says of a command, reader or observer."""
    return {"kind": kind, "name": name, **dataclasses.asdict(source)}


def _provider(component: RegisteredComponent) -> str:
    return f"{component.distribution} {component.version}"

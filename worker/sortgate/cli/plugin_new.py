"""``sortgate plugins new``: a plugin to begin with, whose tests already pass."""

from __future__ import annotations

import re
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import click

from sortgate.cli.plugin_files import component_name, distribution_files, single_files
from sortgate.errors import ConfigurationError
from sortgate.plugins import KINDS, Kind

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST_NAME = 40
#: Sortgate's own distributions, and the owner of its components.
_TAKEN = ("sortgate", "training")


@click.command(
    epilog="""\b
Examples:
  sortgate plugins new phones
  sortgate plugins new german --kind filter --dir plugins
  sortgate plugins new phones --single-file --dir my-plugins"""
)
@click.argument("name")
@click.option(
    "--dir",
    "parent",
    type=click.Path(path_type=Path),
    default=Path(),
    help="Folder to write into; with --single-file the plugins folder.  [default: this one]",
)
@click.option(
    "--kind", type=click.Choice(KINDS), default="normalizer", show_default=True, help="What the example component is."
)
@click.option("--single-file", is_flag=True, help="Write NAME.py and its test instead of a distribution.")
def new(name: str, parent: Path, kind: str, single_file: bool) -> None:
    """Write a plugin to begin with: the distribution sortgate-NAME, or one file; its tests pass as they are."""
    owner, chosen = _checked(name), cast("Kind", kind)
    if single_file:
        if (module := owner.replace("-", "_")) in sys.stdlib_module_names or module == "conftest":
            raise ConfigurationError(f"{module}.py would stand in for a module of that name; choose another name")
        files = {parent / path: content for path, content in single_files(owner, chosen).items()}
        for path in files:
            if path.exists():
                raise ConfigurationError(f"{path} exists; choose another name, or --dir another folder")
    else:
        folder = parent / f"sortgate-{owner}"
        if folder.exists():
            raise ConfigurationError(f"{folder} exists; choose another name, or --dir another folder")
        files = {folder / path: content for path, content in distribution_files(owner, chosen).items()}
    try:
        for path, content in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{error.filename or path}: cannot be written: {error.strerror}") from None
    for path in files:
        click.echo(f"wrote {path}")
    click.echo("\nNext:")
    for line in _next(owner, chosen, parent, single_file):
        click.echo(f"  {line}")


def _checked(name: str) -> str:
    """Return the plugin's own part of the name; a leading ``sortgate-`` is not said twice."""
    owner = name.removeprefix("sortgate-")
    if not _NAME.fullmatch(owner) or len(owner) > _LONGEST_NAME:
        raise ConfigurationError(
            f"plugin name {name[:80]!r}: use lower-case letters, digits and single hyphens, a letter first, "
            f"at most {_LONGEST_NAME} characters"
        )
    if owner in _TAKEN or find_spec(f"sortgate_{owner.replace('-', '_')}") is not None:
        raise ConfigurationError(f"plugin name {name!r} is taken here already; choose another")
    return owner


def _next(owner: str, kind: Kind, parent: Path, single_file: bool) -> list[str]:
    """Return the three commands that come next."""
    name = component_name(owner, kind)
    if single_file:
        folder = shlex.quote(str(parent))
        return [
            f"pytest {shlex.quote(str(parent / 'tests' / ('test_' + owner.replace('-', '_') + '.py')))}",
            f"sortgate plugins show {name} --plugins-dir {folder}",
            f"sortgate plugins bench {name} --plugins-dir {folder}",
        ]
    folder = str(parent / f"sortgate-{owner}")
    return [
        f"pip install -e {shlex.quote(f'{folder}[dev]')}",
        f"pytest {shlex.quote(folder)}",
        f"sortgate plugins show {name}",
    ]

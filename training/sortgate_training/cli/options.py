"""What the commands have in common: options, and what follows from them."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from sortgate.cli.output import printable
from sortgate.settings import PluginOptions, Settings
from sortgate_training.data import Corpus, read_corpus
from sortgate_training.presets import PRESETS
from sortgate_training.readers.added import Readers, load_readers

if TYPE_CHECKING:
    from sortgate.inference import Classifier
    from sortgate.plugins import Registry

PATH = click.Path(path_type=Path)
TEXT_COLUMN = click.option("--text-column", metavar="NAME", help="Column with the texts.  [default: found by its name]")
LABEL_COLUMN = click.option("--label-column", metavar="NAME", help="Column with the labels.  [default: likewise]")
LABEL_SEPARATOR = click.option(
    "--label-separator",
    metavar="TEXT",
    help="What stands between a text's labels, such as '|', if it may have several.",
)
#: Of commands that look at a folder's parts and split nothing off.
VALIDATION = click.option(
    "--validation",
    type=PATH,
    metavar="FILE",
    multiple=True,
    help="Validation texts; may repeat.  [default: the folder's]",
)
TEST = click.option(
    "--test", type=PATH, metavar="FILE", multiple=True, help="Test texts; may repeat.  [default: the folder's]"
)
#: Of commands that split off what is not given.
VALIDATION_PART = click.option(
    "--validation", type=PATH, metavar="FILE", multiple=True, help="Validation texts; may repeat.  [default: split off]"
)
TEST_PART = click.option(
    "--test", type=PATH, metavar="FILE", multiple=True, help="Test texts; may repeat.  [default: split off]"
)
DEVICE = click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True, help="To train on."
)
QUIET = click.option("--quiet", "-q", is_flag=True, help="No progress and no notes.")


def _offer_readers(context: click.Context, _: click.Parameter, folder: Path | None) -> Path | None:
    """Let plugins read files of kinds that are not known otherwise, until the command ends."""

    @cache
    def load() -> Readers:
        return load_plugins(folder).extras.readers

    token = load_readers.set(load)
    context.call_on_close(lambda: load_readers.reset(token))
    return folder


PLUGINS_DIR = click.option(
    "--plugins-dir",
    type=PATH,
    callback=_offer_readers,
    help="Folder of one-file plugins.  [env: SORTGATE_PLUGINS_DIR]",
)
THREADS = click.option("--threads", type=click.IntRange(1, 1024), help="Threads to compute with.  [default: all cores]")

PRESET = click.option(
    "--preset", type=click.Choice(list(PRESETS)), help="What the defaults aim at.  [default: balanced]"
)


def speaker(*, quiet: bool) -> tuple[Console, Callable[[str], None]]:
    """Return where progress goes, and what prints a sentence there."""
    console = Console(stderr=True, quiet=quiet)

    def say(sentence: str) -> None:
        console.print(sentence, highlight=False, markup=False, soft_wrap=True)

    return console, say


def reader(
    say: Callable[[str], None], text_column: str | None, label_column: str | None, label_separator: str | None
) -> Callable[[list[Path]], Corpus]:
    """Return what reads labelled files, and says what is to be known of them."""

    def read(paths: list[Path]) -> Corpus:
        corpus = read_corpus(paths, text_column, label_column, label_separator)
        for note in corpus.notes:
            say(note)
        return corpus

    return read


def plugins(plugins_dir: Path | None) -> PluginOptions:
    """Return what :func:`sortgate.plugins.create_registry` needs."""
    return Settings.from_env(plugins_dir=plugins_dir).plugin_options()


def load_plugins(plugins_dir: Path | None) -> Registry:
    """Load every plugin that may be; one that cannot be loaded is left out, which is said."""
    from sortgate.plugins import create_registry

    registry = create_registry(**plugins(plugins_dir))
    for broken in registry.broken:
        click.echo(f"sortgate: warning: left out: {printable(str(broken.error))}", err=True)
    return registry


def cores() -> int:
    """Return the count of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def load_bundle(bundle: Path, plugins_dir: Path | None, threads: int | None) -> Classifier:
    """Load a bundle with the plugins that it names."""
    from sortgate.inference import Classifier

    return Classifier.load(bundle, threads=threads or cores(), plugins_dir=plugins_dir)


def command_line(context: click.Context) -> str:
    """Return the command as it was typed, with the names of files and folders instead of their paths."""
    words = []
    for parameter in context.command.params:
        if context.get_parameter_source(str(parameter.name)) is not click.core.ParameterSource.COMMANDLINE:
            continue
        value = context.params[str(parameter.name)]
        for item in value if isinstance(value, tuple) else [value]:
            shown = [] if item is True else [item.name if isinstance(item, Path) else str(item)]
            words += [parameter.opts[0], *shown] if isinstance(parameter, click.Option) else shown
    # a file may be named by any bytes, and a page may not
    return shlex.join(["sortgate", str(context.info_name), *words]).encode("utf-8", "replace").decode()

"""``sortgate tune``."""

from __future__ import annotations

import math
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sortgate.cli.output import json_option, print_json, print_table
from sortgate.errors import ConfigurationError
from sortgate_training.cli.options import (
    DEVICE,
    LABEL_COLUMN,
    LABEL_SEPARATOR,
    PATH,
    PLUGINS_DIR,
    PRESET,
    QUIET,
    TEST_PART,
    TEXT_COLUMN,
    THREADS,
    VALIDATION_PART,
    cores,
    load_plugins,
    reader,
    speaker,
)
from sortgate_training.datafiles import find_files
from sortgate_training.loading import load_config
from sortgate_training.openmp import let_threads_sleep

if TYPE_CHECKING:
    from sortgate_training.config import TrainingConfig
    from sortgate_training.tuning.conclusion import Conclusion
    from sortgate_training.tuning.search import Search


#: Options that say what the texts are and what reads them: they are part of the command that comes next.
_ABOUT_DATA = {"validation", "test", "text_column", "label_column", "label_separator", "plugins_dir"}


class _Positive(click.FloatRange):
    """A finite number over 0."""

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{number} is no number of {param.metavar if param else 'units'}", param, ctx)
        return number


@click.command(
    epilog="""\b
Examples:
  sortgate tune tickets.csv --minutes 30
  sortgate tune data/ --minutes 60 --metric accuracy --max-ms 0.1 --max-size 20MB
  sortgate tune tickets.csv --config mine.toml --fix model.cell --study tuning/lstm
  sortgate train tickets.csv --config tuning/tickets/best.toml --out models/tickets

Trial 0 is the configuration that the options make; the others change a few of its keys. A serving budget is measured
before a trial is trained; what is over it is not trained, but for the start. The same command goes on with a study that
was killed or stopped, and with more --minutes or --trials with one that was finished. Test texts are never read: files
stay unopened, and where there are none, the share that `sortgate train` would set aside is set aside here, too."""
)
@click.argument("data", type=PATH, nargs=-1, required=True)
@click.option(
    "--minutes", type=_Positive(), default=10, show_default=True,
    metavar="MINUTES", help="Of the whole study, interruptions not counted.",
)  # fmt: skip
@click.option(
    "--metric", type=click.Choice(["macro_f1", "accuracy", "loss"]), default="macro_f1", show_default=True,
    help="What to search for, on the validation texts.",
)  # fmt: skip
@click.option(
    "--max-ms", type=_Positive(), metavar="MS",
    help="Most milliseconds a text of 40 tokens, in batches of 32 on one core, preprocessing left out.",
)  # fmt: skip
@click.option("--max-size", metavar="SIZE", help="Most of the bundle's model file, such as 20MB.")
@click.option("--trials", type=click.IntRange(1), help="Most trials, the start included.  [default: as time allows]")
@click.option("--fix", "fixed", metavar="KEY", multiple=True, help="A key that keeps its value; may repeat.")
@click.option("--study", type=PATH, metavar="DIR", help="The study's folder.  [default: tuning/ and the data's name]")
@click.option("--fresh", is_flag=True, help="Give up what is in the study's folder and start anew.")
@VALIDATION_PART
@TEST_PART
@TEXT_COLUMN
@LABEL_COLUMN
@LABEL_SEPARATOR
@click.option("--config", type=PATH, metavar="FILE", help="Configuration in TOML to start from.")
@click.option("--set", "assignments", metavar="KEY=VALUE", multiple=True, help="One setting of the start.")
@PRESET
@click.option("--seed", type=int, help="Of the split, the proposals and everything random.")
@DEVICE
@PLUGINS_DIR
@THREADS
@json_option
@QUIET
@click.pass_context
def tune(
    context: click.Context,
    /,
    data: tuple[Path, ...],
    minutes: float,
    metric: Any,
    max_ms: float | None,
    max_size: str | None,
    trials: int | None,
    fixed: tuple[str, ...],
    study: Path | None,
    fresh: bool,
    validation: tuple[Path, ...],
    test: tuple[Path, ...],
    text_column: str | None,
    label_column: str | None,
    label_separator: str | None,
    config: Path | None,
    assignments: tuple[str, ...],
    device: str,
    plugins_dir: Path | None,
    threads: int | None,
    as_json: bool,
    quiet: bool,
    **overrides: Any,
) -> None:
    """Search for a configuration with better validation figures, within a serving budget."""
    started = time.monotonic()
    settled = load_config(config, assignments, overrides)
    files = find_files(data, validation, test)
    console, say = speaker(quiet=quiet)
    read = reader(say, text_column, label_column, label_separator)
    texts = read(files.train)
    held_out = read(files.validation) if files.validation else None
    registry = load_plugins(plugins_dir)

    let_threads_sleep()
    from msgspec.structs import replace

    from sortgate_training.begin import named
    from sortgate_training.precision import check_precision
    from sortgate_training.runfolder import identify
    from sortgate_training.split import divide
    from sortgate_training.tuning.cost import Limits, parse_size
    from sortgate_training.tuning.progress import TuningProgress
    from sortgate_training.tuning.search import Plan, Search
    from sortgate_training.tuning.space import search_space
    from sortgate_training.tuning.study import Folder, Study
    from sortgate_training.tuning.trainer import Trainer

    check_precision(settled.precision, settled.model.cell)
    limits = Limits(max_ms, None if max_size is None else parse_size(max_size))
    # with a test file, all else is there to learn from, as in train; the file itself stays closed
    shares = replace(settled.split, test=0.0) if files.test else settled.split
    parts = divide(texts, held_out, None, shares, settled.seed, say)
    space = search_space(settled, parts.train, fixed)
    plan = Plan(metric, 60 * minutes, limits, trials)
    folder = Folder(study or Path("tuning") / _name(data[0]), fresh=fresh)
    going_on = True
    try:
        searched = {dimension.key: dimension.values for dimension in space}
        kept, digests = named(settled)
        identity = identify(kept, parts, 0, metric=metric, limits=limits, searched=searched, files=digests)
        identity.pop("threads")  # they decide on speed, and on nothing that a search could tell from noise
        identity["data"].pop("test")  # never looked at
        going_on = folder.check(identity)
        found = Study(folder, space, metric, settled.seed)
        trainer = Trainer(parts, registry, folder.path, say, threads=threads or cores(), device=device)
        search = Search(settled, found, trainer, plan, TuningProgress(console, metric), started)
        if going_on:
            say(f"going on with {folder.path}: {len(found.records)} trials are done, {_left(search)} left")
        else:
            sizes = f"{len(parts.train):,} train, {len(parts.validation):,} validation texts"
            say(f"{sizes}; {len(space)} keys are searched in {folder.path}")
        hint = _hint(context, folder.path / "best.toml")
        ending = search.run(lambda: _write(settled, search, hint))
        concluded = _write(settled, search, hint)
        _report(search, concluded or search.conclude(), ending, hint, as_json=as_json)
    except ConfigurationError:
        if not going_on:  # nothing was tried: with a better budget it is no other study
            folder.clear()
        raise
    finally:
        folder.close()


def _name(data: Path) -> str:
    """Return the name of a file without its suffixes, or of a folder."""
    name = data.resolve().name
    return name if data.is_dir() else name.split(".")[0] or name


def _left(search: Search) -> str:
    from sortgate_training.tuning.progress import clock

    return clock(search.left())


def _hint(context: click.Context, config: Path) -> str:
    """Return the command that trains with what was found, on the same files."""
    words = ["sortgate", "train"]
    for parameter in context.command.params:
        given = context.params[str(parameter.name)]
        if parameter.name == "data":
            words += map(str, given)
        elif parameter.name in _ABOUT_DATA:
            for value in given if isinstance(given, tuple) else [given]:
                words += [parameter.opts[0], str(value)] if value is not None else []
    return shlex.join([*words, "--config", str(config), "--out", "models/NAME"]).encode("utf-8", "replace").decode()


def _write(config: TrainingConfig, search: Search, hint: str) -> Conclusion | None:
    """Write what is known so far, so that a kill leaves it, too; returns None where nothing can be chosen yet."""
    from sortgate.errors import TrainingError
    from sortgate_training.tuning.results import render_best, render_table
    from sortgate_training.tuning.study import BEST, TABLE

    study = search.study
    study.folder.write(TABLE, render_table(config, study.space, study.records))
    try:
        found = search.conclude()
    except TrainingError:
        return None
    study.folder.write(BEST, render_best(config, found, study.metric, hint))
    return found


def _report(search: Search, found: Conclusion, ending: str, hint: str, *, as_json: bool) -> None:
    from sortgate_training.tuning.results import COLUMNS, as_dict, frontier, rows
    from sortgate_training.tuning.study import BEST, TABLE

    records, metric, folder = search.study.records, search.study.metric, search.study.folder.path
    if as_json:
        plain = as_dict(records, metric, found)
        print_json({"study": str(folder), "config": str(folder / BEST), "ended": ending, **plain, "next": hint})
        return
    kinds = [record.status for record in records]
    counts = ", ".join(
        f"{kinds.count(kind)} {kind}" for kind in ("trained", "pruned", "over budget", "failed") if kind in kinds
    )
    click.echo(f"{ending}: {len(records)} {'trial' if len(records) == 1 else 'trials'} ({counts})")
    best = frontier(records, metric)
    shown = [*best, *(record for record in records[:1] if record not in best)]
    print_table(COLUMNS, rows(shown, metric), title="Trials that no other one beats in figure, time and size at once")
    for sentence in found.sentences:
        click.echo(f"{sentence[:1].upper()}{sentence[1:]}.")
    click.echo(f"{folder / BEST}: trial {found.chosen.number}'s configuration; {folder / TABLE}: all trials")
    click.echo(f"next: {hint}")

"""``sortgate train``."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sortgate.bundle.manifest import BUNDLE_NAME
from sortgate.cli.output import json_option, print_json
from sortgate.errors import ConfigurationError
from sortgate_training.budget import Budget, parse_duration
from sortgate_training.cli.evaluate import print_metrics
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
    command_line,
    cores,
    load_plugins,
    reader,
    speaker,
)
from sortgate_training.datafiles import find_files
from sortgate_training.folderlock import FolderLock
from sortgate_training.loading import load_config
from sortgate_training.openmp import let_threads_sleep

if TYPE_CHECKING:
    from sortgate_training.distillation import Teaching
    from sortgate_training.finder import Point

#: Of a run, in the folder of a bundle's versions, none of which has such a name.
RUN_FOLDER = ".run"


@click.command(
    epilog="""\b
Examples:
  sortgate train tickets.csv --out models/tickets
  sortgate train data/ --out models/mail --cell gru        # data/train.csv, data/test.csv
  sortgate train mail.jsonl.gz --out models/mail --set model.hidden=64 --set loss.class_weights=balanced
  sortgate train may.csv june.csv --test july.csv --out models/mail
  sortgate train zh.tsv --out models/zh --set text.tokenizer=sortgate.characters.v1

DATA are CSV, TSV, JSONL, Parquet or fastText (.txt) files, plain, .gz or .zst, or one folder with train, validation and
test files; what is not given is split off the training texts. A new version is added under --out, older ones stay.
Ctrl-C or SIGTERM keeps the best epoch; after a crash, the same command with --resume goes on."""
)
@click.argument("data", type=PATH, nargs=-1, required=True)
@click.option("--out", type=PATH, required=True, help="Folder of the bundle's versions, such as models/tickets.")
@VALIDATION_PART
@TEST_PART
@TEXT_COLUMN
@LABEL_COLUMN
@LABEL_SEPARATOR
@click.option("--config", type=PATH, metavar="FILE", help="Configuration in TOML.")
@click.option("--set", "assignments", metavar="KEY=VALUE", multiple=True, help="One setting; the value is TOML.")
@PRESET
@click.option("--cell", type=click.Choice(["lstm", "gru"]), help="Recurrent cell (model.cell).  [default: lstm]")
@click.option("--vectors", type=PATH, metavar="FILE", help="Word vectors to start from (model.vectors): GloVe or .vec.")
@click.option("--pretrained", type=PATH, metavar="FILE", help="File of `sortgate pretrain` to start from.")
@click.option("--epochs", type=int, help="Most passes over the texts.")
@click.option("--seed", type=int, help="Of the split and of everything random.")
@click.option(
    "--precision",
    type=click.Choice(["float32", "int8", "auto"]),
    help="What the bundle serves; auto: int8 where it is as good.  [default: float32]",
)
@click.option(
    "--threshold-goal",
    metavar="GOAL",
    help="Of several labels a text: f1, 'precision>=0.95' or 'recall>=0.9' (thresholds.goal).  [default: f1]",
)
@click.option("--no-baselines", is_flag=True, help="Train no baselines for the report (report.baselines=false).")
@click.option("--run-folder", type=PATH, metavar="DIR", help="Of checkpoints and the log.  [default: .run in --out]")
@click.option("--resume", is_flag=True, help="Go on with the unfinished run, to the same model as if uninterrupted.")
@click.option("--fresh", is_flag=True, help="Give up an unfinished run and start anew.")
@click.option(
    "--checkpoint-every",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Between checkpoints within an epoch.",
)
@click.option("--time-budget", metavar="TIME", help="Of the whole command, such as 90s, 5m or 1h.")
@click.option("--find-lr", is_flag=True, help="Only print how the loss goes with the learning rate, and a suggestion.")
@DEVICE
@PLUGINS_DIR
@THREADS
@json_option
@QUIET
@click.pass_context
def train(context: click.Context, /, **options: Any) -> None:
    """Train a classifier from labelled texts and write it as a bundle."""
    carry_out(context, **options)


def carry_out(
    context: click.Context,
    /,
    *,
    data: tuple[Path, ...],
    out: Path,
    validation: tuple[Path, ...],
    test: tuple[Path, ...],
    text_column: str | None,
    label_column: str | None,
    label_separator: str | None,
    config: Path | None,
    assignments: tuple[str, ...],
    no_baselines: bool,
    run_folder: Path | None,
    resume: bool,
    fresh: bool,
    checkpoint_every: float,
    time_budget: str | None,
    find_lr: bool,
    device: str,
    plugins_dir: Path | None,
    threads: int | None,
    as_json: bool,
    quiet: bool,
    teach: Callable[[Callable[[str], None]], Teaching] | None = None,
    **overrides: Any,
) -> None:
    """Do what ``train`` was asked for; ``teach``, told what to say notes with, makes teachers to learn from, too."""
    started = time.monotonic()
    if resume and fresh:
        raise ConfigurationError("--resume and --fresh: one of them only")
    seconds = None if time_budget is None else parse_duration(time_budget)
    overrides["model.cell"] = overrides.pop("cell")
    overrides["thresholds.goal"] = overrides.pop("threshold_goal")
    overrides["report.baselines"] = False if no_baselines else None
    for name in ("vectors", "pretrained"):
        path = overrides.pop(name)
        overrides[f"model.{name}"] = None if path is None else str(path)
    settled = load_config(config, assignments, overrides)
    out = out if out.name else out.resolve()  # a bundle in the current folder has its name
    _check_out(out)
    if run_folder is not None:
        _check_folder("--run-folder", run_folder)
    files = find_files(data, validation, test)
    place = run_folder or out / RUN_FOLDER
    if not find_lr:
        # before anything is read, so that the second of two equal commands ends at once
        instead = "take another --out" if run_folder is None else "take another --run-folder"
        context.with_resource(FolderLock(place, str(place), "a training is writing there now", instead))
    console, say = speaker(quiet=quiet)
    read = reader(say, text_column, label_column, label_separator)
    texts = read(files.train)
    held_out = read(files.validation) if files.validation else None
    judged = read(files.test) if files.test else None
    registry = load_plugins(plugins_dir)

    let_threads_sleep()
    # torch takes a second to import: not before the data is known to be good
    from sortgate_training.progress import TrainingProgress
    from sortgate_training.run import learning_rates, train_bundle
    from sortgate_training.runfolder import RunFolder
    from sortgate_training.split import divide

    if find_lr:
        parts = divide(texts, held_out, judged, settled.split, settled.seed, say)
        curve = learning_rates(parts, settled, registry, say=say, threads=threads or cores(), device=device)
        _print_rates(curve, as_json=as_json)
        return
    folder = RunFolder(place, say, resume=resume, fresh=fresh)
    parts = divide(texts, held_out, judged, settled.split, settled.seed, say)
    sizes = ", ".join(f"{len(part):,} {name}" for name, part in parts.items())
    say(f"{sizes} texts, {len(parts.train.counts())} labels")
    trained = train_bundle(
        out,
        parts,
        settled,
        registry,
        say=say,
        watch=lambda count, epochs: TrainingProgress(console, count, epochs),
        threads=threads or cores(),
        command=command_line(context),
        folder=folder,
        every_s=checkpoint_every,
        budget=None if seconds is None else Budget(seconds, started),
        device=device,
        teaching=None if teach is None else teach(say),
    )
    kept = trained.manifest.metrics
    if as_json:
        print_json(
            {
                "bundle": str(trained.bundle),
                "judged_on": trained.judged_on,
                "metrics": trained.metrics.to_dict(),
                "intervals": kept["intervals"],
                "baselines": kept.get("baselines", {}),
                "calibration": kept.get("calibration"),
                "logit_adjustment": kept.get("logit_adjustment"),
                "texts_per_s": kept["texts_per_s"],
                "epochs": len(trained.history.epochs),
                "best_epoch": trained.history.best,
                "stopped": trained.history.stopped,
                "precision": trained.manifest.model.precision,
                "refit": kept.get("refit"),
                "flip_rate": trained.manifest.model.flip_rate,
                "temperature": trained.manifest.temperature,
                "largest_logit_difference": trained.parity,
                "notes": kept["notes"],
            }
        )
        return
    print_metrics(trained.metrics, f"{trained.metrics.texts:,} {trained.judged_on} texts")
    click.echo(f"bundle: {trained.bundle}")


def _print_rates(curve: list[Point], *, as_json: bool) -> None:
    from sortgate_training.finder import draw, suggest

    rate = suggest(curve)
    if as_json:
        print_json({"learning_rate": rate, "curve": [point._asdict() for point in curve]})
        return
    click.echo("\n".join(["learning rate  loss", *draw(curve)]))
    click.echo(f"suggestion, a tenth of the rate with the least loss: --set optimizer.learning_rate={rate:g}")


def _check_out(out: Path) -> None:
    """Refuse, before an hour of training, a place where no bundle could be written."""
    name = out.name or out.resolve().name
    if not BUNDLE_NAME.fullmatch(name):
        raise ConfigurationError(
            f"--out {out}: a bundle's name is 1 to 64 letters, digits, '.', '_' or '-', as in models/tickets"
        )
    _check_folder("--out", out)


def _check_folder(option: str, path: Path) -> None:
    """Refuse what is no folder and cannot become one."""
    try:
        there = next(folder for folder in (path, *path.resolve().parents) if folder.exists())
    except OSError as error:
        raise ConfigurationError(f"{option} {path}: {error.strerror}") from None
    if not there.is_dir():
        raise ConfigurationError(f"{option} {path}: {there} is a file; give a folder such as models/tickets")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ConfigurationError(f"{option} {path}: {there} cannot be written to")

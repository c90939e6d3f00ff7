"""``sortgate pretrain``."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import click

from sortgate.cli.outfiles import check_no_input
from sortgate.cli.output import json_option, print_json
from sortgate.errors import ConfigurationError
from sortgate_training.budget import Budget, parse_duration
from sortgate_training.cli.options import (
    PATH,
    PLUGINS_DIR,
    PRESET,
    QUIET,
    TEXT_COLUMN,
    THREADS,
    cores,
    load_plugins,
    speaker,
)
from sortgate_training.data import read_unlabelled
from sortgate_training.loading import load_config
from sortgate_training.openmp import let_threads_sleep


@click.command(
    epilog="""\b
Examples:
  sortgate pretrain mails.txt -o mails.npz
  sortgate pretrain *.jsonl.gz -o mails.npz --set model.hidden=128 --time-budget 30m
  sortgate train tickets.csv --out models/tickets --pretrained mails.npz

TEXTS are CSV, TSV, JSONL or Parquet files, whose labels, if any, are ignored, or .txt with a text a line; plain, .gz or
.zst. Give the configuration that the classifier will have: text path, model.cell, hidden,
embedding, characters and bidirectional must be the same.
Ctrl-C and SIGTERM keep what is learned."""
)
@click.argument("texts", type=PATH, nargs=-1, required=True)
@click.option("--out", "-o", type=PATH, required=True, metavar="FILE", help="What to write, such as mails.npz.")
@TEXT_COLUMN
@click.option("--config", type=PATH, metavar="FILE", help="Configuration in TOML.")
@click.option("--set", "assignments", metavar="KEY=VALUE", multiple=True, help="One setting; the value is TOML.")
@PRESET
@click.option("--cell", type=click.Choice(["lstm", "gru"]), help="Recurrent cell (model.cell).  [default: lstm]")
@click.option("--epochs", type=int, help="Passes over the texts.  [default: 3]")
@click.option("--seed", type=int, help="Of everything random.")
@click.option("--time-budget", metavar="TIME", help="Of the whole command, such as 90s, 5m or 1h.")
@PLUGINS_DIR
@THREADS
@json_option
@QUIET
def pretrain(
    texts: tuple[Path, ...],
    out: Path,
    text_column: str | None,
    config: Path | None,
    assignments: tuple[str, ...],
    time_budget: str | None,
    plugins_dir: Path | None,
    threads: int | None,
    as_json: bool,
    quiet: bool,
    **overrides: Any,
) -> None:
    """Learn token vectors and the recurrent layer from texts without labels."""
    started = time.monotonic()
    seconds = None if time_budget is None else parse_duration(time_budget)
    overrides["model.cell"] = overrides.pop("cell")
    settled = load_config(config, assignments, overrides)
    _check_out(out)
    check_no_input(f"--out {out}", out, texts)
    console, say = speaker(quiet=quiet)
    corpus = read_unlabelled(texts, text_column)
    for note in corpus.notes:
        say(note)
    registry = load_plugins(plugins_dir)
    let_threads_sleep()
    from sortgate_training.pretrained import write_pretrained
    from sortgate_training.pretraining import pretrain as learn

    budget = None if seconds is None else Budget(seconds, started)
    with console.status("pretraining") as status:
        done = learn(
            corpus,
            settled,
            registry,
            say=say,
            watch=lambda epoch, count, loss: status.update(f"epoch {epoch}: {count:,} texts, loss {loss:.3f}"),
            threads=threads or cores(),
            budget=budget,
        )
    facts = {
        "texts": done.texts,
        "tokens": done.tokens,
        "epochs": done.epochs,
        "perplexity": done.perplexity,
        "stopped": done.stopped,
    }
    facts_of = {**facts, "source": corpus.source, "seed": settled.seed}
    write_pretrained(out, done.network, done.vocabulary, settled.text, facts_of)
    if as_json:
        print_json({"file": str(out), "vocabulary": len(done.vocabulary), **facts})
        return
    click.echo(f"{done.stopped}; held-out perplexity {done.perplexity:,.1f}")
    click.echo(f"written: {out}")


def _check_out(out: Path) -> None:
    """Refuse, before an hour of training, a place where no file could be written."""
    folder = out.resolve().parent
    if out.is_dir():
        raise ConfigurationError(f"--out {out}: a folder; name a file, such as {out / 'pretrained.npz'}")
    if not folder.is_dir():
        raise ConfigurationError(f"--out {out}: there is no folder {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigurationError(f"--out {out}: {folder} cannot be written to")

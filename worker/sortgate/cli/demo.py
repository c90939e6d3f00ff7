"""``sortgate demo``: train, serve and stream texts on this machine, with every text accounted for."""

from __future__ import annotations

from pathlib import Path

import click

from sortgate.cli.output import json_option, print_json


@click.command(
    epilog="""\b
Examples:
  sortgate demo
  sortgate demo --data my-texts        (with train.csv and test.csv)
  sortgate demo --texts 5000 --json"""
)
@click.option(
    "--data", type=click.Path(path_type=Path), help="Folder with train and test files: .csv, .tsv, .jsonl, .gz."
)
@click.option(
    "--texts", type=click.IntRange(1), default=20_000, show_default=True, help="How many to generate and stream."
)
@click.option("--workers", type=click.IntRange(1, 64), default=2, show_default=True, help="Worker processes.")
@click.option("--models", type=click.Path(path_type=Path, file_okay=False), help="Keep the trained bundle here.")
@json_option
def demo(data: Path | None, texts: int, workers: int, models: Path | None, as_json: bool) -> int:
    """Train a classifier, start workers and stream texts through them, in about two minutes.

    Without --data the texts are generated; without SORTGATE_REDIS_URL a private Redis is started. Everything that is
    started is stopped again. The exit status is 1 when a text was lost or answered twice.
    """
    from rich.console import Console

    from sortgate.demo.report import show_report
    from sortgate.demo.run import run_demo

    console = Console(stderr=as_json)
    report = run_demo(data=data, texts=texts, workers=workers, models=models, console=console, quiet=as_json)
    if as_json:
        print_json(report)
    else:
        show_report(console, report)
    return 0 if report.passed else 1

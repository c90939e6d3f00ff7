"""``sortgate evaluate``."""

from __future__ import annotations

from pathlib import Path

import click

from sortgate.cli.output import json_option, print_json, print_table
from sortgate_training.cli.options import (
    LABEL_COLUMN,
    LABEL_SEPARATOR,
    PATH,
    PLUGINS_DIR,
    TEXT_COLUMN,
    THREADS,
    cores,
    plugins,
)
from sortgate_training.data import read_corpus
from sortgate_training.datafiles import find_test_files
from sortgate_training.judging import compare
from sortgate_training.metrics import Metrics


@click.command(
    epilog="""\b
Examples:
  sortgate evaluate models/tickets test.csv
  sortgate evaluate models/tickets data/ --json | jq .accuracy        # data/test.csv"""
)
@click.argument("bundle", type=PATH)
@click.argument("data", type=PATH, nargs=-1, required=True)
@TEXT_COLUMN
@LABEL_COLUMN
@LABEL_SEPARATOR
@PLUGINS_DIR
@THREADS
@json_option
def evaluate(
    bundle: Path,
    data: tuple[Path, ...],
    text_column: str | None,
    label_column: str | None,
    label_separator: str | None,
    plugins_dir: Path | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Judge a bundle on labelled texts."""
    from sortgate.bundle import Bundle
    from sortgate.inference import Classifier
    from sortgate.plugins import create_registry_for

    files = find_test_files(data)
    manifest = Bundle.open(bundle, verify=False).manifest
    learned = manifest.data.get("train", {})
    corpus = read_corpus(files, text_column, label_column, label_separator or learned.get("label_separator"))
    corpus = corpus.as_task_of(f"the bundle {manifest.name}", manifest.task)
    registry = create_registry_for(manifest.text, **plugins(plugins_dir))
    classifier = Classifier.load(bundle, threads=threads or cores(), registry=registry)
    answers = classifier(corpus.texts)
    metrics = compare(corpus, answers, classifier.labels)
    errors = sum(answer.error is not None for answer in answers)
    if as_json:
        print_json({"model": classifier.model_name, "errors": errors, **metrics.to_dict(), "notes": corpus.notes})
        return
    notes = corpus.notes + (
        [f"{corpus.source}: {errors} texts cannot be classified: they count as wrong"] if errors else []
    )
    for note in notes:
        click.echo(note, err=True)
    print_metrics(metrics, f"{classifier.model_name} on {metrics.texts:,} texts of {corpus.source}")


def print_metrics(metrics: Metrics, title: str) -> None:
    """Print the figures by label, then the averages."""
    rows: list[tuple[str, str, str, str, int]] = [
        (row.label, f"{row.precision:.3f}", f"{row.recall:.3f}", f"{row.f1:.3f}", row.support) for row in metrics.labels
    ]
    average = (f"{metrics.macro_precision:.3f}", f"{metrics.macro_recall:.3f}", f"{metrics.macro_f1:.3f}")
    rows.append(("macro average", *average, metrics.texts))
    print_table(("label", "precision", "recall", "F1", "texts"), rows, title=title)
    if metrics.micro_f1 is not None:
        click.echo(
            f"micro-F1 {metrics.micro_f1:.4f}, macro-F1 {metrics.macro_f1:.4f}, samples-F1 {metrics.samples_f1:.4f}, "
            f"exact match {metrics.accuracy:.4f}, {metrics.unanswered} unanswered"
        )
        return
    click.echo(f"accuracy {metrics.accuracy:.4f}, macro-F1 {metrics.macro_f1:.4f}, {metrics.unanswered} unanswered")

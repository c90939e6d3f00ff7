"""``sortgate evaluate``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from sortgate.cli.outfiles import check_no_input, write_file
from sortgate.cli.output import json_option, print_json, print_table
from sortgate_training.cli.options import (
    LABEL_COLUMN,
    LABEL_SEPARATOR,
    PATH,
    PLUGINS_DIR,
    TEXT_COLUMN,
    THREADS,
    load_bundle,
)
from sortgate_training.data import read_corpus
from sortgate_training.datafiles import find_test_files
from sortgate_training.metrics import Metrics


@click.command(
    epilog="""\b
Examples:
  sortgate evaluate models/tickets test.csv
  sortgate evaluate models/tickets new.csv --report new.html
  sortgate evaluate models/tickets data/ --json | jq .accuracy        # data/test.csv"""
)
@click.argument("bundle", type=PATH)
@click.argument("data", type=PATH, nargs=-1, required=True)
@TEXT_COLUMN
@LABEL_COLUMN
@LABEL_SEPARATOR
@click.option("--report", type=PATH, metavar="FILE", help="Write a page about the figures, report.html as in a bundle.")
@click.option("--examples/--no-examples", default=True, help="Whether the page quotes texts.  [default: it does]")
@PLUGINS_DIR
@THREADS
@json_option
def evaluate(
    bundle: Path,
    data: tuple[Path, ...],
    text_column: str | None,
    label_column: str | None,
    label_separator: str | None,
    report: Path | None,
    examples: bool,
    plugins_dir: Path | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Judge a bundle on labelled texts."""
    from sortgate_training.report.figures import calibrate, figures_of
    from sortgate_training.report.judged import check_known, judge_corpus, learned_note
    from sortgate_training.report.page import Subject, render_report
    from sortgate_training.report.truncation import truncation_of

    files = find_test_files(data)
    if report is not None:
        check_no_input(f"--report {report}", report, files)
    classifier = load_bundle(bundle, plugins_dir, threads)
    manifest = classifier.manifest
    learned = manifest.data.get("train", {})
    separator = learned.get("label_separator") if label_separator is None else label_separator
    corpus = read_corpus(files, text_column, label_column, separator)
    corpus = corpus.as_task_of(f"the bundle {manifest.name}", manifest.task)
    judged = judge_corpus(classifier, corpus)
    check_known(judged, corpus.source, manifest.name)
    single = manifest.task == "single_label"
    figures = figures_of(judged, (), calibrate(judged, manifest.temperature) if single else None)
    metrics = figures.metrics
    notes = list(corpus.notes)
    if learned_from := learned_note(manifest, corpus.source, corpus.facts):
        notes.append(learned_from)
    truncation = truncation_of(judged, manifest.limits)
    if truncation is not None:
        notes.append(truncation.describe("judged", "accuracy" if single else "exact match"))
    if report is not None:
        subject = Subject(
            manifest.name,
            corpus.source,
            figures,
            judged,
            manifest.temperature,
            multi_label=not single,
            examples=examples,
            learned=Counter(learned.get("labels", {})) or None,
            notes=notes,
            facts={"bundle": classifier.model_name, "fingerprint": classifier.fingerprint, **manifest.provided_by},
            data={"judged": {"source": corpus.source, "texts": len(corpus), **corpus.facts}},
        )
        write_file(f"--report {report}", report, render_report(subject))
    if as_json:
        print_json(
            {
                "model": classifier.model_name,
                "errors": judged.errors,
                **metrics.to_dict(),
                **figures.to_dict(),
                **({} if truncation is None else {"truncation": truncation.to_dict()}),
                "notes": notes,
            }
        )
        return
    if judged.errors:
        notes.append(f"{corpus.source}: {judged.errors} texts cannot be classified: they count as wrong")
    for note in notes:
        click.echo(note, err=True)
    print_metrics(metrics, f"{classifier.model_name} on {metrics.texts:,} texts of {corpus.source}")
    click.echo(
        f"95 % intervals: {'accuracy' if single else 'exact match'} {figures.accuracy.low:.4f} to "
        f"{figures.accuracy.high:.4f}, "
        f"macro-F1 {figures.macro_f1.low:.4f} to {figures.macro_f1.high:.4f}"
    )


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

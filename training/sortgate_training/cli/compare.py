"""``sortgate compare``."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from sortgate.cli.outfiles import check_no_input, write_file
from sortgate.cli.output import json_option, print_json, print_table, printable
from sortgate.errors import DataError
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
from sortgate_training.labelling import LabelSet


@click.command(
    epilog="""\b
Examples:
  sortgate compare models/old models/new test.csv
  sortgate compare models/tickets/20261101T120000Z models/tickets test.csv --changes changes.jsonl
  sortgate compare models/old models/new test.csv --label-separator '|'     # several labels a text"""
)
@click.argument("first", type=PATH)
@click.argument("second", type=PATH)
@click.argument("data", type=PATH, nargs=-1, required=True)
@TEXT_COLUMN
@LABEL_COLUMN
@LABEL_SEPARATOR
@click.option("--show", type=click.IntRange(0), default=10, show_default=True, help="Changed texts to print.")
@click.option("--changes", type=PATH, metavar="FILE", help="Write every changed text, as JSON lines.")
@PLUGINS_DIR
@THREADS
@json_option
def compare(
    first: Path,
    second: Path,
    data: tuple[Path, ...],
    text_column: str | None,
    label_column: str | None,
    label_separator: str | None,
    show: int,
    changes: Path | None,
    plugins_dir: Path | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Compare two bundles on the same labelled texts."""
    from sortgate_training.comparison import check_labels, compare_answers
    from sortgate_training.report.judged import check_known, judge_corpus, learned_note

    files = find_test_files(data)
    if changes is not None:
        check_no_input(f"--changes {changes}", changes, files)
    classifiers = [load_bundle(path, plugins_dir, threads) for path in (first, second)]
    one_task, other_task = (each.manifest.task for each in classifiers)
    if one_task != other_task:
        words = {"single_label": "one label a text", "multi_label": "several labels a text"}
        raise DataError(
            f"the first bundle gives {words[one_task]}, the second {words[other_task]}: they cannot be compared"
        )
    # what stood between the labels that the bundles learned
    known = [each.manifest.data.get("train", {}).get("label_separator") for each in classifiers]
    separator = known[0] or known[1] if label_separator is None else label_separator
    corpus = read_corpus(files, text_column, label_column, separator)
    corpus = corpus.as_task_of(f"the bundle {classifiers[0].manifest.name}", one_task)
    notes = list(corpus.notes)
    if difference := check_labels(classifiers[0].labels, classifiers[1].labels):
        notes.append(difference)
    one, other = (judge_corpus(each, corpus) for each in classifiers)
    for judged, each in ((one, classifiers[0]), (other, classifiers[1])):
        check_known(judged, corpus.source, each.manifest.name)
        if (note := learned_note(each.manifest, corpus.source, corpus.facts)) and note not in notes:
            notes.append(note)
    found = compare_answers(one, other)
    if changes is not None:
        write_file(f"--changes {changes}", changes, b"".join(_line(change) for change in found.changes))
    models = [classifier.model_name for classifier in classifiers]
    if as_json:
        shown = [msgspec.to_builtins(change) for change in found.changes[:show]]
        print_json({"models": models, **found.to_dict(), "changes": shown, "notes": notes})
        return
    for note in notes:
        click.echo(printable(note), err=True)
    values = found.differences()
    rows = [
        (words, *(f"{getattr(part, name):.4f}" for part in (found.first, found.second)), f"{values[name]:+.4f}",
         f"{bounds.low:+.4f} to {bounds.high:+.4f}")
        for words, name, bounds in found.figures()
    ]  # fmt: skip
    title = f"{models[0]} (first) and {models[1]} (second) on {found.first.texts:,} texts of {corpus.source}"
    print_table(("figure", "first", "second", "change", "95 % interval"), rows, title=title)
    labels = [
        (label, f"{one:.3f}", f"{other:.3f}", f"{other - one:+.3f}", texts)
        for label, one, other, texts in found.by_label()
    ]
    print_table(("label", "F1 first", "F1 second", "change", "texts"), labels)
    if found.changes and show:
        lines = [
            (change.row, change.went, *map(_shown, (change.label, change.first, change.second)), change.text[:80])
            for change in found.changes[:show]
        ]
        title = f"{len(lines)} of {len(found.changes):,} texts answered otherwise"
        print_table(("row", "went", "label", "first", "second", "text"), lines, title=title)
    click.echo(found.verdict())


def _shown(answer: str | LabelSet | None) -> str | None:
    return answer if answer is None or isinstance(answer, str) else ", ".join(answer) or "no label"


def _line(change: msgspec.Struct) -> bytes:
    return msgspec.json.encode(change) + b"\n"

"""Labels: how many texts each has, which cannot be learned or judged, and which are spelled in two ways."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from sortgate_training.checks.findings import MOST_EXAMPLES, Finding, Level, count_of
from sortgate_training.checks.parts import Part
from sortgate_training.imbalance import advise, describe_imbalance, imbalance
from sortgate_training.labelling import joined_labels, listed, separator_note

#: Fewer distinct texts of a label are hardly enough to learn it.
FEW_TEXTS = 10


def find_label_problems(part: Part) -> Iterator[Finding]:
    """Problems of the training labels."""
    if part.sets is None:
        yield from _find_joined(part)
    several = part.sets is not None
    answers = {*zip(part.texts, part.label_sets, strict=True)}
    distinct = Counter(label for _, label in {(text, label) for text, labels in answers for label in labels})
    if not distinct:
        yield Finding("error", "labels", part.name, 0, "no text has a label", "is the label column the right one?")
        return
    # a label that some texts lack can be told from nothing
    if len(distinct) < 2 and (not several or distinct.total() == len({*part.texts})):
        yield Finding(
            "error", "labels", part.name, 1,
            f"only one label, {next(iter(distinct))!r}: there is nothing to tell apart", "add texts of another label",
        )  # fmt: skip
        return
    alone = sorted(label for label, count in distinct.items() if count == 1)
    if alone:
        yield Finding(
            "error", "labels", part.name, len(alone),
            f"{count_of(len(alone), 'label has', 'labels have')} one text only: {listed(alone)}",
            "one text can be learned from or judged, not both: add texts, or drop or merge such labels",
        )  # fmt: skip
    few = sorted((count, label) for label, count in distinct.items() if 1 < count < FEW_TEXTS)
    if few:
        yield Finding(
            "warning", "labels", part.name, len(few),
            f"{count_of(len(few), 'label has', 'labels have')} fewer than {FEW_TEXTS} different texts: "
            f"{listed(f'{label} ({count})' for count, label in few)}",
            "such labels are learned badly and judged by chance: add texts or merge labels",
        )  # fmt: skip
    if words := describe_imbalance(distinct):
        yield Finding("note", "imbalance", part.name, round(imbalance(distinct)), words, advise(several=several))
    spellings = defaultdict(list)
    for label in sorted(distinct):
        spellings[" ".join(label.casefold().replace("_", " ").replace("-", " ").split())].append(label)
    doubled = [labels for labels in spellings.values() if len(labels) > 1]
    if doubled:
        yield Finding(
            "warning", "labels", part.name, len(doubled),
            f"{count_of(len(doubled), 'label is', 'labels are')} spelled in several ways: "
            + "; ".join(listed(labels) for labels in doubled[:3]),
            "each spelling is a label of its own: make them one",
        )  # fmt: skip


def _find_joined(part: Part) -> Iterator[Finding]:
    """Labels that are several, read without ``--label-separator``."""
    if note := separator_note(part.report.file, part.labels):
        yield Finding("warning", "labels", part.name, len(set(part.labels)), note)
    elif found := joined_labels(part.labels):
        separator, joined = found
        label, known = next(iter(joined.items()))
        rows = [row for row, given in enumerate(part.labels) if given in joined]
        yield Finding(
            "warning", "labels", part.name, len(rows),
            f"label {label!r} looks like several labels, since {known!r} is a label, too: "
            f"{count_of(len(rows), 'text has', 'texts have')} such a label",
            f"if a text may have several, read them with --label-separator '{separator}'",
            [part.example(row, detail=part.labels[row]) for row in rows[:MOST_EXAMPLES]],
        )  # fmt: skip


def find_foreign_labels(train: Part, other: Part) -> Iterator[Finding]:
    """Labels that only one of two parts has."""
    known = {label for labels in train.label_sets for label in labels}
    met = Counter(label for labels in other.label_sets for label in labels)
    foreign = sorted(met.keys() - known)
    if foreign:
        texts = sum(not known.issuperset(labels) for labels in other.label_sets)
        level: Level = "warning" if known & met.keys() else "error"
        yield Finding(
            level, "labels", other.name, len(foreign),
            f"{count_of(len(foreign), 'label occurs', 'labels occur')} in the {other.name} texts only: "
            f"{listed(foreign)} ({count_of(texts, 'text')})",
            "none of them can be right" if level == "error" else
            "texts with such labels count as wrong; add training texts or delete these",
        )  # fmt: skip
    missing = sorted(known - met.keys())
    if missing and len(foreign) < len(met):
        yield Finding(
            "note", "labels", other.name, len(missing),
            f"{count_of(len(missing), 'label occurs', 'labels occur')} in the training texts, but never in the "
            f"{other.name} texts: {listed(missing)}",
            "nothing is said of how well they are recognised",
        )  # fmt: skip

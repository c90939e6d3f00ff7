"""Two classifiers on the same labelled texts: what differs, and whether that is more than chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from sortgate.errors import DataError
from sortgate_training.labelling import LabelSet, label_table, listed
from sortgate_training.metrics import Metrics, measure, measure_sets
from sortgate_training.report.figures import SIGNIFICANCE
from sortgate_training.report.judged import Judged
from sortgate_training.report.statistics import (
    Interval,
    McNemar,
    answered,
    interval,
    mcnemar,
    numbered,
    paired_bootstrap,
    paired_bootstrap_sets,
)


class Change(msgspec.Struct, frozen=True):
    """A text that the two answer differently; ``row`` counts from 1. Labels are sets where a text may have several."""

    row: int
    text: str
    label: str | LabelSet
    first: str | LabelSet | None
    second: str | LabelSet | None
    went: Literal["right", "wrong", "neither"]


@dataclass(frozen=True)
class Comparison:
    """Figures of both, and intervals of the second minus the first.

    Where a text may have several labels, accuracy is exact match, and there is micro-F1, too.
    """

    first: Metrics
    second: Metrics
    accuracy: Interval
    macro_f1: Interval
    test: McNemar
    changes: list[Change]
    micro_f1: Interval | None = None

    def figures(self) -> list[tuple[str, str, Interval]]:
        """Return (words, name, interval of the change) of each figure."""
        if self.micro_f1 is None:
            return [("accuracy", "accuracy", self.accuracy), ("macro-F1", "macro_f1", self.macro_f1)]
        return [
            ("exact match", "accuracy", self.accuracy),
            ("micro-F1", "micro_f1", self.micro_f1),
            ("macro-F1", "macro_f1", self.macro_f1),
        ]

    def differences(self) -> dict[str, float]:
        """Return the change of each figure."""
        return {name: getattr(self.second, name) - getattr(self.first, name) for _, name, _ in self.figures()}

    def by_label(self) -> list[tuple[str, float, float, int]]:
        """Return (label, F1 of the first, F1 of the second, texts), the largest loss first."""
        before = {row.label: row for row in self.first.labels}
        after = {row.label: row for row in self.second.labels}
        found = []
        for label in {**before, **after}:
            one, other = before.get(label), after.get(label)
            support = (one or other or self.first.labels[0]).support
            found.append((label, one.f1 if one else 0.0, other.f1 if other else 0.0, support))
        return sorted(found, key=lambda row: (row[2] - row[1], row[0]))

    def verdict(self) -> str:
        """Say in words which is better: by accuracy, which McNemar's test is of; of sets of labels, by each figure."""
        if self.micro_f1 is not None:
            return self._verdict_of_sets()
        test, change = self.test, 100 * self.differences()["accuracy"]
        if not test.only_first + test.only_second:
            return "both are right on the same texts"
        counts = (
            f"{change:+.2f} points of accuracy, {test.only_second} texts went right and {test.only_first} wrong, "
            f"McNemar's exact test p = {test.p:.2g}"
        )
        if test.p >= SIGNIFICANCE:
            return f"the two are not distinguishable on these texts ({counts})"
        return f"the second is significantly {'better' if change > 0 else 'worse'} ({counts})"

    def _verdict_of_sets(self) -> str:
        if not self.changes:
            return "both give the same labels to the same texts"
        parts = [
            f"{word} in {', '.join(names)}"
            for word, names in (
                ("better", [words for words, _, bounds in self.figures() if bounds.low > 0]),
                ("worse", [words for words, _, bounds in self.figures() if bounds.high < 0]),
            )
            if names
        ]
        values = self.differences()
        changes = ", ".join(f"{words} {100 * values[name]:+.2f}" for words, name, _ in self.figures())
        if not parts:
            return f"the two are not distinguishable on these texts (points of {changes})"
        return f"the second is significantly {', but '.join(parts)} (points of {changes})"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, the changed texts left out."""
        differences = self.differences()
        changes: dict[str, Any] = {}
        for _, name, bounds in self.figures():
            changes |= {name: differences[name], f"{name}_interval": [*bounds]}
        return {
            "first": self.first.to_dict(),
            "second": self.second.to_dict(),
            "difference": changes,
            "mcnemar": self.test._asdict(),
            "labels": [
                {"label": label, "first": one, "second": other, "change": other - one, "support": support}
                for label, one, other, support in self.by_label()
            ],
            "changed": len(self.changes),
            "verdict": self.verdict(),
        }


def check_labels(first: Sequence[str], second: Sequence[str]) -> str | None:
    """Say in a sentence how the label sets differ, None when they do not.

    Raises:
        DataError: they have nothing in common.
    """
    one, other = set(first), set(second)
    if one == other:
        return None
    if not one & other:
        names = " and ".join(listed(sorted(labels), 3) for labels in (one, other))
        raise DataError(f"the two bundles have no label in common ({names}): they cannot be compared")
    parts = [
        f"only the {which} knows {listed(sorted(labels), 3)}"
        for which, labels in (("first", one - other), ("second", other - one))
        if labels
    ]
    return f"the label sets differ: {', '.join(parts)}"


def compare_answers(first: Judged, second: Judged) -> Comparison:
    """Compare the answers of two classifiers to the same texts; both give one label a text, or both sets of labels."""
    if first.sets is not None and second.sets is not None:
        return _compare_sets(first.texts, first.sets[0], (first.sets[1], second.sets[1]), (first.labels, second.labels))
    truth = first.truth
    names, (true_of, one, other) = numbered(truth, first.answers, second.answers)
    samples = paired_bootstrap(true_of, one, other, len(names))
    changes = [
        Change(row, text, label, before, after, _went(label, before, after))
        for row, (text, label, before, after) in enumerate(
            zip(first.texts, truth, first.answers, second.answers, strict=True), 1
        )
        if before != after
    ]
    return Comparison(
        measure(truth, first.answers, first.labels),
        measure(truth, second.answers, second.labels),
        interval(samples.accuracy),
        interval(samples.macro_f1),
        mcnemar(true_of == one, true_of == other),
        changes,
    )


def _compare_sets(
    texts: Sequence[str],
    truth: list[LabelSet],
    answers: tuple[list[LabelSet | None], list[LabelSet | None]],
    labels: tuple[Sequence[str], Sequence[str]],
) -> Comparison:
    names = sorted({label for part in (truth, *answers) for names in part for label in names or ()})
    one, other = (answered(truth, part, names) for part in answers)
    samples = paired_bootstrap_sets(label_table(truth, names), one, other)
    changes = [
        Change(row, text, label, before, after, _went(label, before, after))
        for row, (text, label, before, after) in enumerate(zip(texts, truth, *answers, strict=True), 1)
        if before != after
    ]
    first, second = (measure_sets(truth, part, known) for part, known in zip(answers, labels, strict=True))
    return Comparison(
        first,
        second,
        interval(samples.accuracy),
        interval(samples.macro_f1),
        mcnemar(one.right, other.right),
        changes,
        interval(samples.micro_f1),
    )


def _went(label: object, before: object, after: object) -> Literal["right", "wrong", "neither"]:
    return "right" if after == label else "wrong" if before == label else "neither"

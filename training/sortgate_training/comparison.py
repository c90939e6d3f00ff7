"""Two classifiers on the same labelled texts: what differs, and whether that is more than chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from sortgate.errors import DataError
from sortgate_training.labelling import listed
from sortgate_training.metrics import Metrics, measure
from sortgate_training.report.figures import SIGNIFICANCE
from sortgate_training.report.judged import Judged
from sortgate_training.report.statistics import Interval, McNemar, interval, mcnemar, numbered, paired_bootstrap


class Change(msgspec.Struct, frozen=True):
    """A text that the two answer differently; ``row`` counts from 1."""

    row: int
    text: str
    label: str
    first: str | None
    second: str | None
    went: Literal["right", "wrong", "neither"]


@dataclass(frozen=True)
class Comparison:
    """Figures of both, and of the second minus the first."""

    first: Metrics
    second: Metrics
    accuracy: Interval
    macro_f1: Interval
    test: McNemar
    changes: list[Change]

    def differences(self) -> dict[str, float]:
        """Return the changes of accuracy and macro-F1."""
        return {
            "accuracy": self.second.accuracy - self.first.accuracy,
            "macro_f1": self.second.macro_f1 - self.first.macro_f1,
        }

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
        """Say in words which is better: the sentence is about accuracy, the test that McNemar's is of."""
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

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, the changed texts left out."""
        differences = self.differences()
        return {
            "first": self.first.to_dict(),
            "second": self.second.to_dict(),
            "difference": {
                "accuracy": differences["accuracy"],
                "accuracy_interval": [*self.accuracy],
                "macro_f1": differences["macro_f1"],
                "macro_f1_interval": [*self.macro_f1],
            },
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
    """Compare the answers of two classifiers to the same texts."""
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


def _went(label: str, before: str | None, after: str | None) -> Literal["right", "wrong", "neither"]:
    return "right" if after == label else "wrong" if before == label else "neither"

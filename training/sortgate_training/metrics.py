"""Accuracy, precision, recall and F1, by label and averaged (macro: every label counts the same)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec


class LabelMetrics(msgspec.Struct, frozen=True):
    """Figures of one label, 0 to 1; ``support`` is the number of texts that have it."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


class Metrics(msgspec.Struct, frozen=True):
    """Figures of one classifier on one set of texts, 0 to 1; ``unanswered`` texts failed or got no label."""

    texts: int
    accuracy: float
    macro_precision: float
    macro_recall: float
    macro_f1: float
    unanswered: int
    labels: list[LabelMetrics]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        values: dict[str, Any] = msgspec.to_builtins(self)
        return values


def measure(expected: Sequence[str], predicted: Sequence[str | None], labels: Sequence[str] = ()) -> Metrics:
    """Compare predictions with what was expected; None counts as wrong.

    A label that neither occurs nor was predicted has no figures and is left out of the averages, as in scikit-learn;
    a ratio with nothing below the line is 0.

    Args:
        expected: the true label of each text.
        predicted: the answer to each text.
        labels: those to list first; others that occur follow.
    """
    support = Counter(expected)
    given = Counter(label for label in predicted if label is not None)
    hits = Counter(truth for truth, answer in zip(expected, predicted, strict=True) if truth == answer)
    occurring = support.keys() | given.keys()
    rows = [
        LabelMetrics(
            label,
            _ratio(hits[label], given[label]),
            _ratio(hits[label], support[label]),
            _ratio(2 * hits[label], given[label] + support[label]),
            support[label],
        )
        for label in [*(label for label in labels if label in occurring), *sorted(occurring - set(labels))]
    ]
    return Metrics(
        texts=len(expected),
        accuracy=_ratio(hits.total(), len(expected)),
        macro_precision=_ratio(sum(row.precision for row in rows), len(rows)),
        macro_recall=_ratio(sum(row.recall for row in rows), len(rows)),
        macro_f1=_ratio(sum(row.f1 for row in rows), len(rows)),
        unanswered=sum(answer is None for answer in predicted),
        labels=rows,
    )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0

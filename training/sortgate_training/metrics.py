"""Accuracy, precision, recall and F1, by label and averaged (macro: every label counts the same)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy.typing as npt


class LabelMetrics(msgspec.Struct, frozen=True):
    """Figures of one label, 0 to 1; ``support`` is the number of texts that have it."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


class Metrics(msgspec.Struct, frozen=True, omit_defaults=True):
    """Figures of one classifier on one set of texts, 0 to 1.

    Attributes:
        accuracy: share of texts whose label, or whole set of labels (exact match), is right.
        unanswered: texts that failed or got no label; an empty set is an answer.
        micro_f1: multi-label only: F1 of all labels of all texts together.
        samples_f1: multi-label only: mean of the texts' F1; of an empty set that is right, 1.
    """

    texts: int
    accuracy: float
    macro_precision: float
    macro_recall: float
    macro_f1: float
    unanswered: int
    labels: list[LabelMetrics]
    micro_f1: float | None = None
    samples_f1: float | None = None

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
    return _measure([(truth,) for truth in expected], [None if each is None else (each,) for each in predicted], labels)


def measure_sets(
    expected: Sequence[Sequence[str]], predicted: Sequence[Sequence[str] | None], labels: Sequence[str] = ()
) -> Metrics:
    """Compare sets of labels as :func:`measure` does single ones.

    None, for a text that failed, has no label, and is wrong even where the truth is the empty set.
    """
    pairs = [({*truth}, {*(answer or ())}, answer is None) for truth, answer in zip(expected, predicted, strict=True)]
    hits = sum(len(truth & answer) for truth, answer, _ in pairs)
    samples = sum(
        _ratio(2 * len(truth & answer), len(truth) + len(answer)) if truth or answer else float(not failed)
        for truth, answer, failed in pairs
    )
    return msgspec.structs.replace(
        _measure(expected, predicted, labels),
        micro_f1=_ratio(2 * hits, sum(len(truth) + len(answer) for truth, answer, _ in pairs)),
        samples_f1=_ratio(samples, len(expected)),
    )


def macro_f1(expected: npt.NDArray[Any], predicted: npt.NDArray[Any]) -> float:
    """Return the mean F1 of the labels that occur or are given, of two ``[texts, labels]``."""
    hits, both = (expected & predicted).sum(axis=0), expected.sum(axis=0) + predicted.sum(axis=0)
    occurring = both > 0
    return float((2.0 * hits[occurring] / both[occurring]).mean()) if occurring.any() else 0.0


def _measure(
    expected: Sequence[Sequence[str]], predicted: Sequence[Sequence[str] | None], labels: Sequence[str]
) -> Metrics:
    pairs = [(truth, answer) for truth, answer in zip(expected, predicted, strict=True) if answer is not None]
    support = Counter(label for truth in expected for label in truth)
    given = Counter(label for _, answer in pairs for label in answer)
    hits = Counter(label for truth, answer in pairs for label in {*truth} & {*answer})
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
        accuracy=_ratio(sum({*truth} == {*answer} for truth, answer in pairs), len(expected)),
        macro_precision=_ratio(sum(row.precision for row in rows), len(rows)),
        macro_recall=_ratio(sum(row.recall for row in rows), len(rows)),
        macro_f1=_ratio(sum(row.f1 for row in rows), len(rows)),
        unanswered=len(expected) - len(pairs),
        labels=rows,
    )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0

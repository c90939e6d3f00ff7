"""Accuracy, macro-F1 and percentiles in plain Python: the demo runs where scikit-learn need not be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def accuracy(truth: Sequence[str], predicted: Sequence[str | None]) -> float:
    """Return the share of texts whose label is right; a text without a label is wrong."""
    return sum(a == b for a, b in zip(truth, predicted, strict=True)) / len(truth) if truth else 0.0


def macro_f1(truth: Sequence[str], predicted: Sequence[str | None]) -> float:
    """Return the mean F1 over every label that occurs, in the truth or in the predictions."""
    right = Counter(a for a, b in zip(truth, predicted, strict=True) if a == b)
    expected, given = Counter(truth), Counter(label for label in predicted if label is not None)
    labels = expected.keys() | given.keys()
    # F1 = 2 TP / (2 TP + FP + FN), and the denominator is what was expected plus what was given.
    return sum(2 * right[label] / (expected[label] + given[label]) for label in labels) / len(labels) if labels else 0.0


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least ``share`` (0 to 1) of ``values`` do not exceed; 0 when there are none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]

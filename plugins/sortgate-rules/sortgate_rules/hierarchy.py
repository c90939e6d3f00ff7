"""``rules.hierarchy.v1``: of labels such as ``billing/refund``, the most exact one that is sure enough.

A classifier that wavers between ``billing/refund`` (0.5) and ``billing/invoice`` (0.4) is sure of ``billing`` (0.9).
"""

from __future__ import annotations

from functools import cache
from operator import itemgetter

from msgspec.structs import replace

from sortgate.types import LabelScore, Prediction
from sortgate_rules import parameters


class Hierarchy:
    """Sums the scores of ``a/b`` and ``a/c`` up to ``a``, and gives the deepest label that reaches ``threshold``."""

    def __init__(self, separator: str = "/", threshold: float = 0.5, fallback: str | None = None) -> None:
        self._separator = parameters.text("separator", separator)
        self._threshold = parameters.number("threshold", threshold, most=1)
        self._fallback = parameters.optional_text("fallback", fallback)
        self._path = cache(self._split)

    def __call__(self, prediction: Prediction) -> Prediction:
        scores = self._summed(prediction)
        ranked = sorted(scores.items(), key=itemgetter(1), reverse=True)
        label = None if prediction.label is None else self._deepest(ranked)
        return replace(
            prediction,
            label=self._fallback if label is None else label,
            score=prediction.score if label is None else scores[label],
            labels=tuple(LabelScore(*item) for item in ranked),
        )

    def _summed(self, prediction: Prediction) -> dict[str, float]:
        """Return every label and every parent with its score, which a rounding error must not make more than 1.

        A parent stands before its children, and stays there when scores are equal, since sorting is stable.
        """
        scores: dict[str, float] = {}
        for entry in prediction.labels:
            for name in self._path(entry.label):
                scores[name] = min(1.0, scores.get(name, 0.0) + entry.score)
        return scores

    def _split(self, label: str) -> list[str]:
        """Return the label's parents, from the top, and itself."""
        parts = label.split(self._separator)
        return [self._separator.join(parts[:depth]) for depth in range(1, len(parts) + 1)]

    def _deepest(self, ranked: list[tuple[str, float]]) -> str | None:
        """Walk down from the best label of the top level, to the best child each time, while it is sure enough.

        ``ranked`` has the best first, so the first child in it is the best.
        """
        found: str | None = None
        for name, score in ranked:
            if score < self._threshold:
                break
            if self._parent(name) == found:
                found = name
        return found

    def _parent(self, name: str) -> str | None:
        path = self._path(name)
        return path[-2] if len(path) > 1 else None

"""Made-up predictions that label post-processors are tried on: every shape that a classifier makes."""

from __future__ import annotations

import random
from collections.abc import Sequence

from sortgate.types import LabelScore, Prediction

LABELS = ("billing", "login", "other", "shipping", "returns")
_SHAPES = 6


def prediction(index: int, labels: Sequence[str] = LABELS) -> Prediction:
    """Return the prediction of that number; six shapes take turns, the scores are drawn.

    The shapes: one label a text; the same with a clear winner; all labels equally likely; abstained; several labels a
    text, of which some reached their threshold; and none did.
    """
    rng = random.Random(index)  # noqa: S311 - not for secrets
    shape = index % _SHAPES
    order = list(labels)
    rng.shuffle(order)
    truncated = rng.choice((0, 0, 3, 1_000))
    if shape in (4, 5):  # several labels a text: scores do not add up to 1
        scores = sorted((rng.random() for _ in order), reverse=True)
        kept = [(label, score) for label, score in zip(order, scores, strict=True) if shape == 4 and score >= 0.5]
        best = scores[0]
    else:
        weights = [rng.random() ** 4 + 1e-6 for _ in order]
        if shape == 1:
            weights = [1.0] + [0.0] * (len(order) - 1)
        elif shape == 2:
            weights = [1.0] * len(order)
        kept = [(label, weight / sum(weights)) for label, weight in zip(order, weights, strict=True)]
        kept.sort(key=lambda pair: -pair[1])
        best = kept[0][1]
    ranked = tuple(LabelScore(label, score) for label, score in kept)
    label = ranked[0].label if ranked and shape != 3 else None
    return Prediction(label, best, ranked, truncated=truncated)


def wide(count: int) -> Prediction:
    """Return the prediction of a classifier with ``count`` labels."""
    total = count * (count + 1) / 2
    ranked = tuple(LabelScore(f"label{i}", (count - i) / total) for i in range(count))
    return Prediction(ranked[0].label, ranked[0].score, ranked)

"""``rules.abstain.v1``: better no answer than a guess."""

from __future__ import annotations

from sortgate.types import Prediction
from sortgate_rules import parameters
from sortgate_rules.deciding import decide


class Abstain:
    """Gives ``label`` where the best score is below ``score``, or less than ``margin`` above the second best."""

    def __init__(self, score: float = 0.0, margin: float = 0.0, label: str | None = None) -> None:
        self._score = parameters.number("score", score, most=1)
        self._margin = parameters.number("margin", margin, most=1)
        self._label = parameters.optional_text("label", label)

    def __call__(self, prediction: Prediction) -> Prediction:
        if prediction.label is not None and prediction.score >= self._score and _margin(prediction) >= self._margin:
            return prediction
        return decide(prediction, self._label)


def _margin(prediction: Prediction) -> float:
    """Return how far the label is ahead of the best of the others, which is the first of them."""
    others = (entry.score for entry in prediction.labels if entry.label != prediction.label)
    return prediction.score - next(others, 0.0)

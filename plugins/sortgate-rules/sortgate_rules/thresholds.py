"""``rules.thresholds.v1``: a label must be sure enough, or another one is given in its place."""

from __future__ import annotations

from collections.abc import Mapping

from sortgate.types import Prediction
from sortgate_rules import parameters
from sortgate_rules.deciding import decide


class Thresholds:
    """Gives ``fallback`` where there is no label, or its score is below ``labels[label]``, else ``default``."""

    def __init__(
        self, default: float = 0.0, labels: Mapping[str, float] | None = None, fallback: str | None = None
    ) -> None:
        self._default = parameters.number("default", default, most=1)
        self._labels = {
            label: parameters.number(f"labels.{label}", value, most=1)
            for label, value in parameters.table("labels", labels or {}).items()
        }
        self._fallback = parameters.optional_text("fallback", fallback)

    def __call__(self, prediction: Prediction) -> Prediction:
        label = prediction.label
        if label is not None and prediction.score >= self._labels.get(label, self._default):
            return prediction
        return decide(prediction, self._fallback)

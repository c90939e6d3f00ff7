"""Built-in label post-processors (prediction to prediction)."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from sortgate.types import LabelScore, Prediction


class TopK:
    """Keeps the ``k`` best labels of the list; the best label stays what it is."""

    def __init__(self, k: int) -> None:
        if not isinstance(k, int) or isinstance(k, bool) or k < 1:
            raise ValueError("k must be a whole number from 1 on")
        self._k = k

    def __call__(self, prediction: Prediction) -> Prediction:
        if len(prediction.labels) <= self._k:
            return prediction
        return replace(prediction, labels=prediction.labels[: self._k])


class Threshold:
    """Abstains (label None) when the best label's score is below its threshold: ``labels[label]``, or ``default``.

    With ``drop``, for multi-label classifiers, every label below its own threshold leaves the list,
    and the best of what is left is the label.
    """

    def __init__(self, default: float = 0.0, labels: Mapping[str, float] | None = None, drop: bool = False) -> None:
        self._default = _probability("default", default)
        if labels is not None and not isinstance(labels, Mapping):
            raise ValueError("labels must map labels to thresholds")
        self._labels = {label: _probability(f"labels.{label}", value) for label, value in (labels or {}).items()}
        if not isinstance(drop, bool):
            raise ValueError("drop must be true or false")
        self._drop = drop

    def __call__(self, prediction: Prediction) -> Prediction:
        if prediction.label is None:
            return prediction
        if not self._drop:
            reached = prediction.score >= self._of(prediction.label)
            return prediction if reached else replace(prediction, label=None)
        kept = tuple(entry for entry in prediction.labels if entry.score >= self._of(entry.label))
        if not kept:
            return replace(prediction, label=None, labels=())
        return replace(prediction, label=kept[0].label, score=kept[0].score, labels=kept)

    def _of(self, label: str) -> float:
        return self._labels.get(label, self._default)


class Rename:
    """Renames labels; the scores of labels that get one name are added up (``merge`` = sum), or the best kept (max)."""

    def __init__(self, labels: Mapping[str, str] | None = None, merge: str = "sum") -> None:
        if labels is not None and not isinstance(labels, Mapping):
            raise ValueError("labels must map old names to new ones")
        self._names = dict(labels or {})
        if not all(isinstance(name, str) and name for name in self._names.values()):
            raise ValueError("a new label's name must be a string that is not empty")
        if merge not in ("sum", "max"):
            raise ValueError("merge must be 'sum' (single-label) or 'max' (multi-label)")
        self._merge = merge

    def __call__(self, prediction: Prediction) -> Prediction:
        names = self._names
        scores: dict[str, float] = {}
        for entry in prediction.labels:
            name = names.get(entry.label, entry.label)
            before = scores.get(name)
            if before is None:
                scores[name] = entry.score
            elif self._merge == "sum":
                scores[name] = min(1.0, before + entry.score)
            else:
                scores[name] = max(before, entry.score)
        labels = tuple(LabelScore(*item) for item in sorted(scores.items(), key=lambda item: -item[1]))
        if prediction.label is None:
            return replace(prediction, labels=labels)
        if not labels:
            return replace(prediction, label=names.get(prediction.label, prediction.label))
        return replace(prediction, label=labels[0].label, score=labels[0].score, labels=labels)


def _probability(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"{name} must be a number from 0 to 1")
    return float(value)

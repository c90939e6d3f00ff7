"""Logits to predictions: calibrated probabilities, ranked labels."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from sortgate.bundle import Manifest
from sortgate.types import LabelScore, Prediction

DEFAULT_THRESHOLD = 0.5


class Scorer:
    """Turns logits into predictions, as a manifest's task, temperature and thresholds say."""

    def __init__(self, manifest: Manifest) -> None:
        self._labels = tuple(manifest.labels)
        self._multi_label = manifest.task == "multi_label"
        self._temperature = manifest.temperature
        self.thresholds = np.array([manifest.thresholds.get(label, DEFAULT_THRESHOLD) for label in manifest.labels])

    def scores(self, logits: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return calibrated probabilities ``[texts, labels]``: softmax for one label a text, else sigmoid."""
        # float64: costs little here, and keeps rounding out of scores that must not depend on the batch
        scaled = logits.astype(np.float64) / self._temperature
        if self._multi_label:
            scores: npt.NDArray[np.float64] = 1.0 / (1.0 + np.exp(-np.clip(scaled, -700.0, 700.0)))
            return scores
        scores = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        scores /= scores.sum(axis=1, keepdims=True)
        return scores

    def predict(self, logits: npt.NDArray[Any], truncated: Sequence[int]) -> list[Prediction]:
        """Return one prediction a row, labels best first, equal scores in the manifest's order."""
        scores = self.scores(logits)
        order = np.argsort(-scores, axis=1, kind="stable")
        ranked = np.take_along_axis(scores, order, axis=1)
        if self._multi_label:
            chosen = np.take_along_axis(scores >= self.thresholds, order, axis=1).tolist()
            return [
                self._chosen(row, values, kept, cut)
                for row, values, kept, cut in zip(order.tolist(), ranked.tolist(), chosen, truncated, strict=True)
            ]
        # this loop runs once for every text and label: map() keeps it out of the interpreter
        names = self._labels
        return [
            Prediction(names[row[0]], values[0], tuple(map(LabelScore, itemgetter(*row)(names), values)), None, cut)
            for row, values, cut in zip(order.tolist(), ranked.tolist(), truncated, strict=True)
        ]

    def _chosen(self, row: list[int], values: list[float], kept: list[bool], truncated: int) -> Prediction:
        labels = tuple(
            LabelScore(self._labels[index], value) for index, value, keep in zip(row, values, kept, strict=True) if keep
        )
        if not labels:
            return Prediction(None, values[0], (), None, truncated)
        return Prediction(labels[0].label, labels[0].score, labels, None, truncated)

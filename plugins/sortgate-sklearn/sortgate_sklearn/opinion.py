"""The label post-processor: a linear model looks at the text, too, and its probabilities are mixed in."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from msgspec.structs import replace

from sortgate.types import LabelScore, Prediction
from sortgate_sklearn.analyzer import create_analyzer
from sortgate_sklearn.linear import LinearModel


class SecondOpinion:
    """Mixes a logistic regression's probabilities, learned in training on TF-IDF, with the network's.

    For classifiers of one label a text. Put it before post-processors that rename or leave out labels: one that the
    linear model has not learned has the probability 0 in its opinion.
    """

    #: Called with the normalized text, too.
    wants_text = True

    def __init__(
        self,
        weight: float = 0.3,
        analyzer: str = "word",
        ngram_range: Sequence[int] = (1, 2),
        strength: float = 10.0,
        max_features: int = 20_000,
    ) -> None:
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= 1:
            raise ValueError("weight must be a number from 0 (the network alone) to 1 (the linear model alone)")
        if isinstance(strength, bool) or not isinstance(strength, int | float) or not 0 < strength < math.inf:
            raise ValueError("strength (scikit-learn's C) must be a number above 0")
        if isinstance(max_features, bool) or not isinstance(max_features, int) or max_features < 1:
            raise ValueError("max_features must be a whole number from 1 on")
        self._weight = float(weight)
        self._strength = float(strength)
        self._max_features = max_features
        self._analyze = create_analyzer(analyzer, ngram_range)
        self._model: LinearModel | None = None

    def fit_labelled(self, texts: Sequence[str], label_sets: Sequence[Sequence[str]]) -> None:
        """Learn from normalized texts with one label each."""
        if any(len(labels) != 1 for labels in label_sets):
            raise ValueError("a second opinion is for classifiers of exactly one label a text")
        labels = [names[0] for names in label_sets]
        self._model = LinearModel.fit(texts, labels, self._analyze, self._strength, self._max_features)

    def state(self) -> bytes:
        """Return terms, labels and weights."""
        return self._learned().to_bytes()

    def restore(self, state: bytes) -> None:
        """Read them back."""
        self._model = LinearModel.from_bytes(state)

    def __call__(self, prediction: Prediction, text: str) -> Prediction:
        if not prediction.labels:
            return prediction
        model, weight = self._learned(), self._weight
        second = model.probabilities(Counter(self._analyze(text)))
        mixed = []
        for entry in prediction.labels:
            column = model.column(entry.label)
            share = 0.0 if column is None else float(second[column])
            mixed.append(LabelScore(entry.label, (1 - weight) * entry.score + weight * share))
        mixed.sort(key=lambda entry: -entry.score)
        best = mixed[0]
        label = None if prediction.label is None else best.label
        return replace(prediction, label=label, score=best.score, labels=tuple(mixed))

    def _learned(self) -> LinearModel:
        if self._model is None:
            raise RuntimeError("the second opinion has learned nothing yet: fit or restore it first")
        return self._model

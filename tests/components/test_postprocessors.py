"""The label post-processors: top-k, thresholds with abstaining, renaming."""

from __future__ import annotations

from typing import Any

import pytest

from sortgate.components.postprocessors import Rename, Threshold, TopK
from sortgate.types import LabelScore, Prediction


def predict(**scores: float) -> Prediction:
    labels = tuple(LabelScore(label, score) for label, score in sorted(scores.items(), key=lambda item: -item[1]))
    return Prediction(labels[0].label, labels[0].score, labels, truncated=3)


def scores(prediction: Prediction) -> list[Any]:
    return [(entry.label, pytest.approx(entry.score)) for entry in prediction.labels]


def test_top_k() -> None:
    prediction = predict(a=0.5, b=0.3, c=0.2)
    assert scores(TopK(2)(prediction)) == [("a", 0.5), ("b", 0.3)]
    assert TopK(3)(prediction) is prediction
    assert TopK(1)(prediction).label == "a"


def test_threshold_abstains_by_label() -> None:
    threshold = Threshold(default=0.4, labels={"spam": 0.9})
    assert threshold(predict(spam=0.8, ham=0.2)).label is None
    assert threshold(predict(spam=0.9, ham=0.1)).label == "spam"
    assert threshold(predict(ham=0.4, eggs=0.3)).label == "ham"
    abstained = threshold(predict(ham=0.39, eggs=0.3))
    assert (abstained.label, abstained.score, len(abstained.labels), abstained.truncated) == (None, 0.39, 2, 3)
    assert threshold(abstained) == abstained


def test_threshold_drops_labels_of_a_multi_label_classifier() -> None:
    threshold = Threshold(default=0.5, labels={"a": 0.9}, drop=True)
    kept = threshold(predict(a=0.8, b=0.7, c=0.1))
    assert (kept.label, kept.score, scores(kept)) == ("b", 0.7, [("b", 0.7)])
    none = threshold(predict(a=0.8))
    assert (none.label, none.labels) == (None, ())


def test_rename_merges_scores() -> None:
    rename = Rename({"b": "x", "c": "x"})
    merged = rename(predict(a=0.4, b=0.35, c=0.25))
    assert (merged.label, scores(merged)) == ("x", [("x", 0.6), ("a", 0.4)])
    assert merged.score == pytest.approx(0.6)
    assert scores(Rename({"b": "x", "c": "x"}, merge="max")(predict(a=0.9, b=0.8, c=0.7))) == [("a", 0.9), ("x", 0.8)]
    assert Rename({"b": "a"})(predict(a=0.9, b=0.8)).score == 1.0


def test_rename_keeps_abstentions_and_bare_labels() -> None:
    rename = Rename({"a": "x"})
    assert rename(Prediction(None, 0.3, (LabelScore("a", 0.3),))).label is None
    assert rename(Prediction("a", 0.3)).label == "x"
    assert rename(predict(a=0.5, b=0.5)).label == "x"

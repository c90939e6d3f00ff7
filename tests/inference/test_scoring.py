"""Logits to predictions, against the definitions of softmax and sigmoid."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sortgate.bundle import Manifest
from sortgate.inference.scoring import Scorer
from sortgate.plugins import ComponentRecord
from sortgate.textpath import TextRecords
from sortgate.types import LabelScore, Prediction

TEXT = TextRecords([], ComponentRecord("sortgate.words.v1", {}, "sortgate", "0.1.0"), [], [])


def scorer(**fields: object) -> Scorer:
    return Scorer(Manifest(name="x", labels=["a", "b", "c"], text=TEXT, **fields))  # type: ignore[arg-type]


def test_single_label_is_a_softmax_with_temperature() -> None:
    made = scorer(temperature=2.0).predict(np.array([[0.0, 2.0, -2.0]], np.float32), [7])[0]
    total = 1 + math.e + 1 / math.e
    assert made.label == "b"
    assert made.score == pytest.approx(math.e / total)
    assert [item.label for item in made.labels] == ["b", "a", "c"]
    assert sum(item.score for item in made.labels) == pytest.approx(1.0)
    assert made.truncated == 7
    assert made.error is None


def test_equal_scores_keep_the_order_of_the_manifest() -> None:
    assert [item.label for item in scorer().predict(np.zeros((1, 3), np.float32), [0])[0].labels] == ["a", "b", "c"]


def test_huge_logits_stay_finite() -> None:
    logits = np.array([[1e30, -1e30, 0.0]], np.float32)
    assert scorer(temperature=0.001).predict(logits, [0])[0].score == 1.0
    multi = scorer(temperature=0.001, task="multi_label").predict(logits, [0])[0]
    assert multi.label == "a"
    assert multi.score == 1.0


def test_multi_label_gives_the_labels_that_reach_their_threshold() -> None:
    made = scorer(task="multi_label", thresholds={"c": 0.1, "a": 0.9}).predict(
        np.array([[2.0, 0.0, -2.0], [-9.0, -9.0, -9.0]], np.float32), [0, 0]
    )
    assert made[0].label == "b"  # a's 0.88 is below its threshold
    assert made[0].labels == (LabelScore("b", 0.5), LabelScore("c", pytest.approx(1 / (1 + math.e**2))))
    assert made[1].label is None
    assert made[1].labels == ()
    assert made[1].error is None


def test_no_texts() -> None:
    assert scorer().predict(np.empty((0, 3), np.float32), []) == []


def test_predictions_are_plain_python(toy_classifier: object) -> None:
    made: list[Prediction] = toy_classifier(["hello world"])  # type: ignore[operator]
    assert type(made[0].score) is float
    assert type(made[0].labels[0].score) is float
    assert type(made[0].label) is str

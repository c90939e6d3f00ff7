"""Figures as scikit-learn computes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from sortgate_training.metrics import measure

PAIRS = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd")), min_size=1, max_size=40)


@given(pairs=PAIRS)
def test_the_same_as_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    expected, predicted = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    metrics = measure(expected, predicted, list("dcba"))
    assert metrics.accuracy == pytest.approx(accuracy_score(expected, predicted))
    *macro, _ = precision_recall_fscore_support(expected, predicted, average="macro", zero_division=0.0)
    assert (metrics.macro_precision, metrics.macro_recall, metrics.macro_f1) == pytest.approx(macro)
    labels = [row.label for row in metrics.labels]
    assert labels == sorted(set(expected + predicted), reverse=True)
    columns = precision_recall_fscore_support(expected, predicted, labels=labels, zero_division=0.0)
    for row, figures in zip(metrics.labels, zip(*columns, strict=True), strict=True):
        assert (row.precision, row.recall, row.f1, row.support) == pytest.approx(figures)


def test_no_answer_is_wrong_but_no_label() -> None:
    metrics = measure(["a", "a", "b"], ["a", None, None], ["a", "b"])
    assert metrics.accuracy == pytest.approx(1 / 3)
    assert metrics.unanswered == 2
    assert [(row.label, row.precision, row.recall) for row in metrics.labels] == [("a", 1.0, 0.5), ("b", 0.0, 0.0)]


def test_labels_that_the_classifier_does_not_know_are_listed_last() -> None:
    metrics = measure(["z", "a"], ["a", "a"], ["a", "b"])
    assert [row.label for row in metrics.labels] == ["a", "z"]


def test_no_texts() -> None:
    assert measure([], [], ["a"]).macro_f1 == 0.0

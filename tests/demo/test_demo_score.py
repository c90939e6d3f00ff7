"""The demo's own metrics agree with scikit-learn's."""

from __future__ import annotations

import random

import pytest
from sklearn.metrics import accuracy_score, f1_score

from sortgate.demo.score import accuracy, macro_f1, percentile


def test_agrees_with_scikit_learn() -> None:
    rng = random.Random(3)
    truth = [rng.choice("abc") for _ in range(500)]
    given = [label if rng.random() < 0.7 else rng.choice("abcd") for label in truth]
    assert accuracy(truth, given) == pytest.approx(accuracy_score(truth, given))
    assert macro_f1(truth, given) == pytest.approx(f1_score(truth, given, average="macro"))


def test_a_text_without_label_is_wrong() -> None:
    assert accuracy(["a", "a"], ["a", None]) == 0.5
    assert macro_f1(["a", "a"], ["a", None]) == pytest.approx(2 / 3)


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0), (0.001, 1.0)])
def test_percentile_is_the_smallest_value_that_reaches_the_share(share: float, expected: float) -> None:
    assert percentile([float(i) for i in range(100, 0, -1)], share) == expected


def test_nothing_measured() -> None:
    assert (accuracy([], []), macro_f1([], []), percentile([], 0.5)) == (0.0, 0.0, 0.0)

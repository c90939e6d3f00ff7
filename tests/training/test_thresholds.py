"""Thresholds: they reach the goal they were chosen for, and few positives do not decide alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sortgate_training.thresholds import (
    SHRINKAGE,
    Goal,
    choose_abstention,
    choose_thresholds,
    few_positives,
    parse_goal,
)


def make(seed: int, texts: int, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Scores that mean what they say, roughly."""
    generator = np.random.default_rng(seed)
    targets = generator.random((texts, 2)) < rate
    scores = 1 / (1 + np.exp(-generator.normal(np.where(targets, 1.0, -1.0), 1.5)))
    return scores.round(2), targets


@pytest.mark.parametrize(
    ("text", "goal"),
    [("f1", Goal("f1")), ("precision >= 0.95", Goal("precision", 0.95)), ("recall>=1", Goal("recall", 1.0))],
)
def test_goals(text: str, goal: Goal) -> None:
    assert parse_goal(text) == goal


@pytest.mark.parametrize("text", ["", "f2", "precision", "precision>=95", "recall>0.9", "recall>=1.5"])
def test_what_is_no_goal(text: str) -> None:
    with pytest.raises(ValueError, match="a goal is"):
        parse_goal(text)


@given(seed=st.integers(0, 1000), value=st.floats(0.1, 1.0), rate=st.floats(0.0, 0.9))
def test_the_goal_is_reached_by_the_most_generous_threshold(seed: int, value: float, rate: float) -> None:
    scores, targets = make(seed, 80, rate)
    for figure in ("precision", "recall"):
        thresholds, missed = choose_thresholds(scores, targets, Goal(figure, value))
        for label in range(2):

            def figure_at(threshold: float, label: int = label, figure: str = figure) -> float:
                given = scores[:, label] >= threshold
                below = given.sum() if figure == "precision" else targets[:, label].sum()
                return (given & targets[:, label]).sum() / below if below else 0.0

            others = np.unique(scores[:, label])
            if label in missed:
                assert thresholds[label] == 1.0
                assert not targets[:, label].any() or all(figure_at(score) < value for score in others)
                continue
            assert figure_at(thresholds[label]) >= value - 1e-9
            better = others[others < thresholds[label]] if figure == "precision" else others[others > thresholds[label]]
            wrong = [figure_at(score) for score in better] if figure == "precision" else []
            wrong += [figure_at(score + 1e-9) for score in better] if figure == "recall" else []
            assert all(reached < value for reached in wrong)


def test_best_f1_on_many_positives_is_the_labels_own_and_on_few_that_of_all() -> None:
    scores, targets = make(0, 4000, 0.3)
    scores[:, 1] = scores[:, 0] ** 3  # the same label with scores that are too low
    targets[:, 1] = targets[:, 0]
    many, missed = choose_thresholds(scores, targets, Goal("f1"))
    assert missed == []
    assert many[1] == pytest.approx(many[0] ** 3, abs=0.05)
    rare = targets.copy()
    rare[np.flatnonzero(rare[:, 1])[1:], 1] = False
    few, _ = choose_thresholds(scores, rare, Goal("f1"))
    own = scores[rare[:, 1], 1][0]
    assert abs(few[1] - few[0]) < abs(few[1] - own), f"one positive of {SHRINKAGE} needed decides little"


def test_a_label_without_positives_gets_the_threshold_of_all() -> None:
    scores, targets = make(0, 500, 0.3)
    targets[:, 1] = False
    thresholds, _ = choose_thresholds(scores, targets, Goal("f1"))
    assert 0.02 <= thresholds[1] <= 0.98
    assert few_positives(["a", "b"], targets) == (
        "thresholds of 1 labels rest on fewer than 20 validation texts and may be off: b"
    )
    assert few_positives(["a"], targets[:, :1]) is None


def test_abstaining_answers_as_much_as_the_precision_allows() -> None:
    best = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    right = np.array([True, True, False, True, False])
    assert choose_abstention(best, right, Goal("precision", 1.0)) == (0.75, 1.0, 0.4)
    assert choose_abstention(best, right, Goal("precision", 0.75)) == (0.55, 0.75, 0.8)
    assert choose_abstention(best, right, Goal("precision", 0.6)) == (0.25, 0.6, 1.0)
    assert choose_abstention(best, ~right & False, Goal("precision", 0.1)) is None

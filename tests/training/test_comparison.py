"""Two classifiers side by side."""

from __future__ import annotations

import numpy as np
import pytest

from sortgate.errors import DataError
from sortgate_training.comparison import check_labels, compare_answers
from sortgate_training.report.judged import Judged

NOTHING = np.array([], dtype=np.int64)


def judged(truth: list[str], answers: list[str | None], labels: tuple[str, ...] = ("a", "b")) -> Judged:
    texts = [f"text {number}" for number in range(len(truth))]
    return Judged(texts, truth, answers, labels, NOTHING, np.zeros((0, len(labels))), NOTHING, 0)


def test_a_better_classifier_is_called_so() -> None:
    truth = ["a", "b"] * 100
    worse: list[str | None] = [None if row % 5 == 0 else label for row, label in enumerate(truth)]
    found = compare_answers(judged(truth, worse), judged(truth, [*truth]))
    assert found.differences()["accuracy"] == pytest.approx(0.2)
    assert found.accuracy.low < 0.2 < found.accuracy.high
    assert (found.test.only_first, found.test.only_second) == (0, 40)
    assert found.verdict().startswith("the second is significantly better (+20.00 points")
    assert {change.went for change in found.changes} == {"right"}
    assert found.changes[0].row == 1
    assert "significantly worse" in compare_answers(judged(truth, [*truth]), judged(truth, worse)).verdict()


def test_few_differences_are_called_chance() -> None:
    truth = ["a", "b"] * 20
    one: list[str | None] = ["b", *truth[1:]]
    other: list[str | None] = [truth[0], "a", "b", *truth[3:]]
    found = compare_answers(judged(truth, one), judged(truth, other))
    assert "not distinguishable" in found.verdict()
    assert [change.went for change in found.changes] == ["right", "wrong", "wrong"]
    assert [label for label, *_ in found.by_label()] == sorted(
        ("a", "b"), key=lambda label: next(b - a for name, a, b, _ in found.by_label() if name == label)
    )


def test_the_same_answers() -> None:
    same = judged(["a", "b"], ["a", None])
    assert compare_answers(same, same).verdict() == "both are right on the same texts"


def test_label_sets() -> None:
    assert check_labels(["a", "b"], ["b", "a"]) is None
    assert check_labels(["a", "b"], ["b", "c"]) == (
        "the label sets differ: only the first knows 'a', only the second knows 'c'"
    )
    with pytest.raises(DataError, match="no label in common"):
        check_labels(["a"], ["b"])

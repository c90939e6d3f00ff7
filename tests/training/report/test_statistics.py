"""Intervals and curves against what is known of them."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from sortgate_training.metrics import measure_sets
from sortgate_training.report.statistics import (
    Interval,
    Sets,
    answered,
    bootstrap,
    bootstrap_sets,
    calibration_error,
    coverage_curve,
    interval,
    mcnemar,
    numbered,
    paired_bootstrap,
    paired_bootstrap_sets,
    precision_recall,
    probabilities,
    reliability,
    suspects,
    wilson,
)


@pytest.mark.parametrize(
    ("right", "texts", "low", "high"),
    # Newcombe 1998, table I, method 3
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_is_as_published(right: int, texts: int, low: float, high: float) -> None:
    assert wilson(right, texts) == pytest.approx((low, high), abs=5e-5)


def test_wilson_of_nothing_is_anything() -> None:
    assert wilson(0, 0) == Interval(0.0, 1.0)


def test_mcnemar_is_the_binomial_test_of_the_texts_on_which_they_differ() -> None:
    first = np.array([True] * 50 + [True] * 9 + [False] * 1)
    second = np.array([True] * 50 + [False] * 9 + [True] * 1)
    found = mcnemar(first, second)
    assert (found.only_first, found.only_second) == (9, 1)
    assert found.p == pytest.approx(2 * (1 + 10) / 2**10)
    assert mcnemar(first, first).p == 1.0


def test_bootstrap_is_around_scikit_learn_s_figure_and_as_wide_as_resampling_texts() -> None:
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 4, 400)
    answers = np.where(generator.random(400) < 0.8, truth, generator.integers(-1, 4, 400))
    found = bootstrap(truth, answers, 4)
    exact = f1_score(truth, answers, labels=range(4), average="macro")
    rows = [generator.integers(0, 400, 400) for _ in range(300)]
    plain = interval(np.array([f1_score(truth[row], answers[row], labels=range(4), average="macro") for row in rows]))
    assert found.macro.mean() == pytest.approx(exact, abs=0.01)
    assert interval(found.macro) == pytest.approx(plain, abs=0.015)
    assert found.accuracy.mean() == pytest.approx((truth == answers).mean(), abs=0.005)
    assert np.array_equal(found.macro, bootstrap(truth, answers, 4).macro)  # seeded


def test_paired_bootstrap_of_equal_answers_is_zero_and_of_better_ones_positive() -> None:
    truth = np.arange(300) % 3
    worse = np.where(np.arange(300) % 10 == 0, (truth + 1) % 3, truth)
    same = paired_bootstrap(truth, worse, worse, 3)
    assert not same.accuracy.any()
    better = paired_bootstrap(truth, worse, truth, 3)
    assert interval(better.accuracy).low > 0.05
    assert interval(better.macro_f1).low > 0.05


def test_labels_become_numbers() -> None:
    names, (truth, answers) = numbered(["b", "a"], [None, "c"])
    assert (names, truth.tolist(), answers.tolist()) == (["a", "b", "c"], [1, 0], [-1, 2])


def test_calibration_error_of_scores_that_mean_what_they_say() -> None:
    generator = np.random.default_rng(0)
    scores = generator.uniform(0.4, 1.0, 20_000)
    right = generator.random(20_000) < scores
    bins = reliability(scores, right)
    assert len(bins) == 15
    assert sum(part.texts for part in bins) == 20_000
    assert calibration_error(bins) < 0.02
    assert calibration_error(reliability(np.minimum(scores + 0.2, 1.0), right)) > 0.1


def test_equal_scores_share_a_bin() -> None:
    assert [part.texts for part in reliability(np.ones(100), np.arange(100) < 90)] == [100]
    assert reliability(np.array([]), np.array([], dtype=bool)) == []


def test_coverage_falls_from_the_surest_texts_to_all() -> None:
    curve = coverage_curve(np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, True, False, False]))
    assert curve == [(0.25, 1.0, 0.9), (0.5, 1.0, 0.8), (0.75, pytest.approx(2 / 3), 0.7), (1.0, 0.5, 0.6)]
    assert coverage_curve(np.array([]), np.array([], dtype=bool)) == []


def test_average_precision_is_scikit_learn_s() -> None:
    generator = np.random.default_rng(0)
    positive = generator.random(500) < 0.3
    scores = np.round(generator.random(500) + 0.5 * positive, 1)  # with ties
    points, average = precision_recall(scores, positive)
    assert average == pytest.approx(average_precision_score(positive, scores))
    assert points[-1][0] == 1.0
    assert precision_recall(scores, np.zeros(500, dtype=bool)) == ([], 0.0)


def test_a_label_that_was_swapped_is_suspected() -> None:
    generator = np.random.default_rng(0)
    true = generator.integers(0, 3, 300)
    logits = generator.normal(size=(300, 3))
    logits[np.arange(300), true] += 10.0
    given = true.copy()
    given[[7, 100, 200]] = (given[[7, 100, 200]] + 1) % 3
    found = suspects(probabilities(logits), given)
    # the third is surer of its true label than of the given one, but not surer than that label's mean
    assert found[0][0] in {7, 100}
    assert dict(found) == {7: true[7], 100: true[100]}


def test_sets_are_resampled_in_pairs() -> None:
    generator = np.random.default_rng(0)
    truth = generator.random((400, 5)) < 0.3
    first, second = truth ^ (generator.random(truth.shape) < 0.2), truth ^ (generator.random(truth.shape) < 0.1)
    one, other = (Sets(given, (given == truth).all(axis=1)) for given in (first, second))
    samples = bootstrap_sets(truth, one)
    assert samples.micro is not None
    for average, drawn in (("macro", samples.macro), ("micro", samples.micro)):
        low, high = interval(drawn)
        assert low < f1_score(truth, first, average=average) < high
    changes = paired_bootstrap_sets(truth, one, other)
    for average, drawn in (("macro", changes.macro_f1), ("micro", changes.micro_f1)):
        low, high = interval(drawn)
        gain = f1_score(truth, second, average=average) - f1_score(truth, first, average=average)
        assert 0 < low < gain < high
    low, high = interval(changes.accuracy)
    assert 0 < low < (truth == second).all(axis=1).mean() - (truth == first).all(axis=1).mean() < high
    assert not paired_bootstrap_sets(truth, one, one).macro_f1.any()


def test_a_text_that_failed_is_wrong_even_where_it_should_have_no_label() -> None:
    truth: list[tuple[str, ...]] = [(), ("a",), ()]
    given = answered(truth, [None, ("a",), ()], ["a", "b"])
    assert given.right.tolist() == [False, True, True]
    assert given.given.tolist() == [[False, False], [True, False], [False, False]]
    metrics = measure_sets(truth, [None, ("a",), ()])
    assert (metrics.accuracy, metrics.samples_f1, metrics.unanswered) == (pytest.approx(2 / 3), pytest.approx(2 / 3), 1)
    assert metrics.micro_f1 == metrics.macro_f1 == 1.0

"""Whether a difference between two configurations is more than chance."""

from __future__ import annotations

import numpy as np
import pytest

from sortgate_training.judging import judge_logits
from sortgate_training.report.statistics import interval, paired_bootstrap
from sortgate_training.tuning.answers import answer, difference


@pytest.fixture
def texts() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Targets, and logits of a poor and of a good classifier."""
    generator = np.random.default_rng(0)
    targets = generator.integers(0, 4, 300)
    noise = generator.normal(size=(300, 4)).astype(np.float32)
    right = np.eye(4, dtype=np.float32)[targets]
    return targets, noise + right, noise + 3 * right


def test_losses_and_answers_are_those_that_figures_come_from(texts: tuple[np.ndarray, ...]) -> None:
    targets, poor, _ = texts
    found, judged = answer(poor, targets), judge_logits(poor, targets)
    assert found.losses.mean() == pytest.approx(judged.loss)
    assert (found.given == targets).mean() == pytest.approx(judged.accuracy)
    sets = np.eye(4, dtype=bool)[targets]
    found, judged = answer(poor, sets), judge_logits(poor, sets)
    assert found.losses.mean() == pytest.approx(judged.loss)
    assert (found.given == sets).all(axis=1).mean() == pytest.approx(judged.accuracy)


@pytest.mark.parametrize("metric", ["macro_f1", "accuracy"])
def test_the_interval_is_that_of_the_paired_bootstrap(texts: tuple[np.ndarray, ...], metric: str) -> None:
    targets, poor, good = texts
    one, other = answer(poor, targets), answer(good, targets)
    bounds = difference(metric, targets, 4, [one], [other])
    known = interval(getattr(paired_bootstrap(targets, one.given, other.given, 4), metric))
    assert bounds.low == pytest.approx(known.low, abs=0.01)
    assert bounds.high == pytest.approx(known.high, abs=0.01)
    sets = np.eye(4, dtype=bool)[targets]
    tables = [
        answer(logits, targets)._replace(given=np.eye(4, dtype=bool)[logits.argmax(axis=1)]) for logits in (poor, good)
    ]
    assert difference(metric, sets, 4, [tables[0]], [tables[1]]) == pytest.approx(bounds)


def test_a_loss_that_falls_is_below_0(texts: tuple[np.ndarray, ...]) -> None:
    targets, poor, good = texts
    one, other = answer(poor, targets), answer(good, targets)
    bounds = difference("loss", targets, 4, [one], [other])
    assert bounds.low < other.losses.mean() - one.losses.mean() < bounds.high < 0


def test_the_same_answers_differ_by_nothing_and_several_trainings_count_as_their_mean(
    texts: tuple[np.ndarray, ...],
) -> None:
    targets, poor, good = texts
    one, other = answer(poor, targets), answer(good, targets)
    assert difference("macro_f1", targets, 4, [one], [one]) == (0.0, 0.0)
    single = difference("accuracy", targets, 4, [one], [other])
    half = difference("accuracy", targets, 4, [one, one], [one, other])
    assert half == pytest.approx([bound / 2 for bound in single])

"""A time budget: what is a time, what is kept for the end, and that a pause between two runs costs nothing."""

from __future__ import annotations

import pytest

from sortgate.errors import ConfigurationError
from sortgate_training.budget import Budget, parse_duration


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90.0), ("5m", 300.0), ("1.5h", 5400.0)])
def test_times(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "-5m", "0s", "5 days", "1h30m"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is no time"):
        parse_duration(text)


def test_the_share_of_time_for_training() -> None:
    now = [100.0]
    budget = Budget(100.0, 80.0, lambda: now[0])
    assert budget.begin() == pytest.approx(70.0)  # 20 are gone, 10 are kept for the end
    now[0] += 35.0
    assert budget.share() == pytest.approx(0.5)
    budget.judged(7.0)  # the end will take about 30
    assert budget.share() == pytest.approx(35 / 50)
    now[0] += 20.0
    assert budget.share() == 1.0


def test_time_between_two_runs_does_not_count() -> None:
    now = [0.0]
    first = Budget(100.0, 0.0, lambda: now[0])
    first.begin()
    now[0] = 45.0
    state = first.state()
    now[0] = 10_000.0
    second = Budget(100.0, 9_990.0, lambda: now[0])
    second.restore(state)
    assert second.share() == pytest.approx(0.5)


def test_a_budget_that_is_spent_before_training() -> None:
    assert Budget(1.0, 0.0, lambda: 5.0).share() == 1.0

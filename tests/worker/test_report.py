"""Verdicts of /healthz and /readyz over made-up turns of the event loop; real workers are in tests/integration."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from sortgate.settings import Settings
from sortgate.worker.figures import QueueFigures
from sortgate.worker.report import Monitor, QueueReport
from sortgate.worker.state import QueueState

LIMIT_S = 60.0
SERVED = [("a", "a/1", "f1"), ("b", "b/1", "f2")]


class Clock:
    """``time.monotonic`` that tests move on."""

    now = 1000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    return clock


@pytest.fixture
def monitor(clock: Clock) -> Monitor:
    assert clock
    monitor = Monitor(Settings(), processes=2)
    monitor.loaded(SERVED)
    return monitor


def report(
    queue: str, clock: Clock, *, in_flight: int = 0, unread: int = 0, progress_s: float = 0.0, silent_s: float = 0.0,
    paused: bool = False, limited: bool = False, connected: bool = True, broken: str = "",
) -> QueueReport:  # fmt: skip
    state = QueueState({"normal": unread}, in_flight, 0.0, 0.0, 0, 0, {})
    return QueueReport(queue, connected, paused, limited, broken, in_flight, in_flight, QueueFigures(), state,
                       heard_at=clock.now - silent_s, progress_at=clock.now - progress_s)  # fmt: skip


def test_the_limit_is_more_than_a_batch_and_a_lease_whatever_they_are() -> None:
    for settings in (Settings(), Settings(batch_timeout_s=600.0), Settings(lease_s=120.0)):
        assert settings.health_limit_s > settings.batch_timeout_s + settings.lease_s
    assert Settings(health_timeout_s=7.0).health_limit_s == 7.0


@pytest.mark.parametrize(("in_flight", "unread"), [(3, 0), (0, 3), (3, 5)])
def test_work_without_progress_is_ill_only_after_the_limit(
    monitor: Monitor, clock: Clock, in_flight: int, unread: int
) -> None:
    clock.now += 500.0
    for progress_s, well in ((LIMIT_S - 1, True), (LIMIT_S + 1, False), (1.0, True)):
        monitor.turned([report("a", clock, in_flight=in_flight, unread=unread, progress_s=progress_s)], 1)
        verdict = monitor.health()
        assert verdict.well is well
        assert (
            verdict.well or f"{in_flight} texts in hand, {unread} unread, and none completed for 61 s" in verdict.reason
        )


@pytest.mark.parametrize("reason", ["paused", "limited"])
def test_a_queue_that_may_not_be_read_is_well(monitor: Monitor, clock: Clock, reason: str) -> None:
    """Its results are full, or its rate limit is used up."""
    clock.now += 500.0
    monitor.turned([report("a", clock, unread=9, progress_s=400.0, **{reason: True})], 0)
    assert monitor.health().well
    assert monitor.health().figures["queues"]["a"][reason] is True


def test_loading_a_bundle_for_long_is_no_standstill_but_not_ready(clock: Clock) -> None:
    monitor = Monitor(Settings(), processes=1)
    clock.now += 500.0
    monitor.turned([report("a", clock, in_flight=4, progress_s=500.0)], 1)
    assert monitor.health().well
    assert monitor.readiness().reason == "no pool process has loaded its bundles yet"
    monitor.loaded(SERVED)
    assert monitor.health().well, "the time counts from here"
    assert monitor.readiness().well


def test_of_several_busy_queues_one_may_wait_for_the_others(monitor: Monitor, clock: Clock) -> None:
    clock.now += 500.0

    def turn(progress_a: float, progress_b: float, work_b: int = 1) -> bool:
        monitor.turned([
            report("a", clock, in_flight=1, progress_s=progress_a),
            report("b", clock, in_flight=work_b, progress_s=progress_b),
        ], 1)  # fmt: skip
        return monitor.health().well

    assert turn(LIMIT_S + 1, 1.0)
    assert not turn(2 * LIMIT_S + 1, 1.0), "not for ever, though"
    assert not turn(LIMIT_S + 1, LIMIT_S + 2)
    assert not turn(LIMIT_S + 1, 0.0, work_b=0), "a queue with nothing to do keeps nobody waiting"


def test_a_silent_redis_and_a_loop_that_stands_are_ill_though_nothing_is_known_to_wait(
    monitor: Monitor, clock: Clock
) -> None:
    clock.now += 500.0
    monitor.turned([report("a", clock), report("b", clock, silent_s=LIMIT_S + 1)], 0)
    assert monitor.health().reason == "queue b: Redis has been silent for 61 s"
    monitor.turned([report("a", clock), report("b", clock)], 0)
    assert monitor.health().well
    clock.now += LIMIT_S + 2
    assert monitor.health().reason == "the event loop has not turned for 62 s"
    monitor.detached()
    assert monitor.health().reason == "Celery's broker has been away for 62 s"
    monitor.turned([report("a", clock), report("b", clock)], 0)
    assert monitor.health().well


def test_ready_only_with_every_link_and_until_it_stops(monitor: Monitor, clock: Clock) -> None:
    assert monitor.readiness().reason == "Celery's broker is away"
    monitor.turned([report("a", clock), report("b", clock, connected=False)], 0)
    assert monitor.readiness().reason == "no link to Redis for queue b"
    monitor.turned([report("a", clock), report("b", clock)], 0)
    assert monitor.readiness().well
    assert monitor.readiness().figures["queues"] == {"a": "a/1", "b": "b/1"}
    monitor.detached()
    assert not monitor.readiness().well
    monitor.turned([report("a", clock), report("b", clock)], 0)
    monitor.stopping()
    assert monitor.readiness().reason == "the worker is stopping"

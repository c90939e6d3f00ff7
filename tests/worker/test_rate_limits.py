"""A queue's rate limit: kept by all of its workers together, given up by none, and felt by no other queue."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis as redis_py
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sortgate import Client, keys
from sortgate.errors import ConfigurationError
from sortgate.settings import Settings
from sortgate.streams.scripts import run_script

StartWorker = Callable[..., Any]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rate=st.sampled_from([0.5, 7.0, 500.0, 20_000.0]),
    asked=st.lists(st.tuples(st.integers(1, 600), st.floats(0.0, 1.0)), min_size=1, max_size=40),
)
def test_a_bucket_grants_its_rate_and_a_second_s_worth(
    redis: redis_py.Redis, rate: float, asked: list[tuple[int, float]]
) -> None:
    """Whoever asks, and whatever they give back: what is read is never more, and as much as was asked for is had."""
    key = keys.rate("toy")
    redis.delete(key)
    read = unread = 0
    first = None
    for wanted, part in asked:
        before = time.monotonic()
        granted, wait_ms = run_script(redis, "allow", [key], rate, wanted, unread)
        first = before if first is None else first
        allowed = max(1.0, rate) + rate * (time.monotonic() - first)
        assert 0 <= granted <= wanted
        assert read + granted <= allowed + 0.01
        left = max(1.0, rate) - read
        assert granted >= min(wanted, math.floor(left + 0.01)) or left < max(1.0, rate / 20), "no less, but for crumbs"
        assert (wait_ms > 0) == (granted == 0)
        assert wait_ms <= max(1.0, rate / 20) * 1000.0 / rate + 1
        used = round(granted * part)
        read, unread = read + used, granted - used


def test_what_a_read_brought_beyond_its_grant_is_paid_for(redis: redis_py.Redis) -> None:
    key = keys.rate("toy")
    assert run_script(redis, "allow", [key], 0.1, 1, 0)[0] == 1
    granted, wait_ms = run_script(redis, "allow", [key], 0.1, 1, -2)
    assert granted == 0
    assert 20_000 < wait_ms <= 30_000
    assert 0 < redis.pttl(key) <= 31_000, "an idle queue's bucket goes"


def test_a_full_memory_can_still_be_read_empty(redis: redis_py.Redis) -> None:
    redis.config_set("maxmemory", "1")
    try:
        with pytest.raises(redis_py.exceptions.OutOfMemoryError):
            redis.set("more", "x" * 100)
        assert run_script(redis, "allow", [keys.rate("toy")], 100.0, 10, 0)[0] == 10
    finally:
        redis.config_set("maxmemory", "0")


@pytest.mark.parametrize(
    "value",
    ["tickets", "tickets=", "tickets=0", "tickets=-1", "a=nan", "a=inf", "=3", "Tickets!=5", "a=1e-9"],
)
def test_a_limit_that_makes_no_sense_is_one_clear_line(value: str) -> None:
    with pytest.raises(ConfigurationError, match=r"SORTGATE_RATE_LIMITS=.*: write queue=rate"):
        Settings.from_env({"SORTGATE_RATE_LIMITS": value})


def test_a_queue_named_twice_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="a=1,a=2 names a queue twice"):
        Settings.from_env({"SORTGATE_RATE_LIMITS": "a=1, a=2"})


def test_two_workers_keep_a_limit_together_and_other_queues_do_not_feel_it(
    start_worker: StartWorker, redis_url: str, redis: redis_py.Redis
) -> None:
    rate = 100.0
    workers = [start_worker("toy,second", SORTGATE_RATE_LIMITS=f"toy={rate:g},elsewhere=5") for _ in range(2)]
    assert "serving queue toy with" in workers[0].output()
    assert "at most 100 texts/s by all of its workers together" in workers[0].output()
    assert "names queue elsewhere, which this worker does not serve" in workers[0].output()
    started = time.monotonic()
    with Client(redis_url, queue="toy") as client:
        ids = client.submit([f"hello {i}" for i in range(500)])
    with Client(redis_url, queue="second") as other:
        assert sum(result.status == "ok" for result in other.stream([f"hello {i}" for i in range(3000)])) == 3000
    assert redis.xlen(keys.requests("toy")) > 0, "the other queue is done first"
    answered = 0
    while answered < 500:
        answered = redis.xlen(keys.results("toy"))
        elapsed = time.monotonic() - started
        # a second's worth at once, and two texts a worker that may be read beyond what is granted, and paid for
        assert answered <= rate * (elapsed + 1.0) + 4
        assert elapsed < 30
        time.sleep(0.05)
    with Client(redis_url, queue="toy") as client:
        assert {result.id for result in client.results(timeout=1, max=500)} == set(ids)

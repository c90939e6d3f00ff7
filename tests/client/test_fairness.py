"""A producer's slots: its flood waits behind everyone's texts, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis as redis_py
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from scripts import Q, commit, read
from sortgate import Client, keys
from sortgate.errors import MessageError, QueueFullError
from sortgate.settings import Settings

NORMAL, LOW = keys.requests(Q), keys.requests(Q, "low")


def producer(url: str, name: str | None, **settings: Any) -> Client:
    return Client(queue=Q, producer=name, settings=Settings(redis_url=url, **{"producer_slots": 10, **settings}))


def waiting(redis: redis_py.Redis, stream: str, name: str) -> list[str]:
    """Return the ids that a producer has waiting in a stream, oldest first."""
    return [fields["id"] for _, fields in redis.xrange(stream) if fields.get("producer") == name]


def answer(redis: redis_py.Redis, stream: str, count: int) -> None:
    """Answer the oldest texts of a stream."""
    read(redis)
    number = {NORMAL: 2, LOW: 3}[stream]
    oldest = redis.xrange(stream, count=count)
    result = ["v", "1", "id", "x", "status", "ok"]
    commit(redis, *((number, entry, fields["id"], "", "ok", result) for entry, fields in oldest))


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.sampled_from(["a", "b"]), st.integers(1, 25)),
            st.tuples(st.sampled_from([NORMAL, LOW]), st.integers(1, 15)),
        ),
        max_size=20,
    )
)
def test_whatever_comes_and_goes_a_producer_keeps_to_its_slots(
    redis: redis_py.Redis, redis_url: str, steps: list[tuple[str, int]]
) -> None:
    redis.flushall()
    born = 0
    clients = {name: producer(redis_url, name) for name in "ab"}
    for what, count in steps:
        if what in clients:
            before = {stream: waiting(redis, stream, what) for stream in (NORMAL, LOW)}
            clients[what].submit(["t"] * count, ids=[f"{born + i:04}" for i in range(count)])
            born += count
            normal, low = (waiting(redis, stream, what) for stream in (NORMAL, LOW))
            assert len(normal) + len(low) == len(before[NORMAL]) + len(before[LOW]) + count
            assert len(normal) < 2 * 10
            if not before[NORMAL]:
                assert len(normal) == min(count, 10), "who has nothing waiting there has all of its slots"
        else:
            answer(redis, what, count)
    for client in clients.values():
        client.close()


def test_without_a_name_without_slots_or_with_a_priority_all_go_where_they_are_sent(
    redis: redis_py.Redis, redis_url: str
) -> None:
    with producer(redis_url, None) as client:
        client.submit(["t"] * 30)
    with producer(redis_url, "a", producer_slots=0) as client:
        client.submit(["t"] * 30)
    assert (redis.xlen(NORMAL), redis.xlen(LOW)) == (60, 0)
    with producer(redis_url, "a") as client:
        client.submit(["t"] * 30, priority="high")
        client.submit(["t"] * 30, priority="low")
        client.submit(["t"] * 30, priority="normal")
    assert (redis.xlen(keys.requests(Q, "high")), redis.xlen(NORMAL), redis.xlen(LOW)) == (30, 90, 30)
    assert not redis.exists(keys.producer(Q, "a"))


def test_a_full_low_stream_pushes_back_and_adds_nothing(redis: redis_py.Redis, redis_url: str) -> None:
    with producer(redis_url, "a", requests_limit=25) as client:
        client.submit(["t"] * 20)
        with pytest.raises(QueueFullError, match="holds 10 texts"):
            client.submit(["t"] * 20)
        assert (redis.xlen(NORMAL), redis.xlen(LOW)) == (10, 10)
        answer(redis, NORMAL, 1)
        client.submit(["t"] * 10)  # a new window: what waits in the low stream is in nobody's way
        assert (redis.xlen(NORMAL), redis.xlen(LOW)) == (19, 10)
        assert 0 < redis.pttl(keys.producer(Q, "a")) <= 86_400_000, "names that are gone do not add up"


def test_a_name_that_no_worker_would_take_is_refused(redis_url: str) -> None:
    with producer(redis_url, "a" * 2000) as client, pytest.raises(MessageError, match="producer has 2,000 bytes"):
        client.submit(["t"])


def test_a_flood_delays_nobody_else(start_worker: Callable[..., Any], redis_url: str) -> None:
    """In front of a real worker: a few texts that come after 30,000 of another's are answered among the first."""
    settings = Settings(redis_url=redis_url)
    with Client(queue="toy", producer="flood", settings=settings) as flood:
        flooding = set(flood.submit([f"hello {i} {'again ' * (i % 20)}" for i in range(30_000)]))
    with Client(queue="toy", producer="few", settings=settings) as few:
        mine = set(few.submit([f"hello {i}" for i in range(20)]))
    start_worker("toy")
    with Client(queue="toy", settings=settings) as collector:
        order = [result.id for result in collector.results(timeout=5, max=30_020)]
    assert set(order) == flooding | mine
    assert max(order.index(ident) for ident in mine) < 5000

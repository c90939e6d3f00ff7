"""Texts that trickle in are read together while no process is free; a real event loop on a real Redis."""

from __future__ import annotations

import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import redis as redis_py

from looped import Harness, Q
from sortgate import Client, keys
from sortgate.faults import ChaosProxy


@pytest.fixture
def client(redis_url: str) -> Iterator[Client]:
    with Client(redis_url, queue=Q) as client:
        yield client


@pytest.fixture
def seldom_ticking(redis_url: str) -> Iterator[Harness]:
    """A tick reads, too, and so ends a pause."""
    harness = Harness(redis_url, tick_s=5.0)
    yield harness
    harness.close()


def reads(redis: redis_py.Redis) -> int:
    """How often the streams were asked for texts."""
    return int(redis.info("commandstats").get("cmdstat_xreadgroup", {"calls": 0})["calls"])


def spend(harness: Harness, seconds: float) -> None:
    """Let the event loop run for so long."""
    over: list[bool] = []
    harness.hub.call_later(seconds, over.append, True)
    harness.hub.call_later(seconds + 0.001, lambda: None)  # or the loop would wait on before it gives way
    harness.run(lambda: bool(over))


def trickle(harness: Harness, client: Client, texts: int, apart_s: float = 0.004) -> None:
    """Submit texts one by one."""
    for number in range(texts):
        client.submit([f"text {number}"])
        spend(harness, apart_s)


def test_texts_that_trickle_in_while_every_process_is_busy_are_read_together(
    seldom_ticking: Harness, client: Client, redis: redis_py.Redis
) -> None:
    harness = seldom_ticking
    harness.run(lambda: harness.consumer._reader.reading)
    needed = []
    for pause_s in (0.0, 0.1):
        harness.pause_s, harness.answering = pause_s, False
        redis.config_resetstat()
        trickle(harness, client, 30)
        harness.run(lambda: harness.consumer.hand.room == 64 - 30)
        needed.append(reads(redis))
        harness.answering = True
        harness.answer()
        harness.run(lambda: len(harness.consumer.hand) == 0)
    at_once, together = needed
    assert together < at_once / 3
    assert redis.xlen(keys.results(Q)) == 60


def test_a_process_that_becomes_free_ends_the_pause(seldom_ticking: Harness, client: Client) -> None:
    harness = seldom_ticking
    harness.pause_s = 30.0
    harness.answering = False
    client.submit(["first"])
    harness.run(lambda: len(harness.batches) == 1)
    client.submit(["second"])
    spend(harness, 0.1)
    assert len(harness.batches) == 1, "it waits in Redis"
    started = time.monotonic()
    harness.consumer.read()
    harness.run(lambda: len(harness.batches) == 2)
    assert time.monotonic() < started + 1.0


def test_what_a_read_takes_is_part_of_the_pause(redis_url: str, client: Client, redis: redis_py.Redis) -> None:
    """A Redis that is far away spaces the reads by itself."""
    with ChaosProxy(urlsplit(redis_url).port or 6379) as proxy:
        harness = Harness(proxy.url, tick_s=5.0)
        try:
            harness.run(lambda: harness.consumer._reader.reading)
            proxy.down.delay_s = 0.04
            needed = []
            for pause_s in (0.0, 0.03):
                harness.pause_s, harness.answering = pause_s, False
                redis.config_resetstat()
                trickle(harness, client, 30, 0.02)
                harness.run(lambda: harness.consumer.hand.room == 64 - 30)
                needed.append(reads(redis))
                harness.answering = True
                harness.answer()
                harness.run(lambda: len(harness.consumer.hand) == 0)
        finally:
            harness.close()
    at_once, paused = needed
    assert paused > 0.8 * at_once  # about 0.6 if the pause came on top

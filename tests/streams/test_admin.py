"""Queue figures and dead letters, as an operator asks for them."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from sortgate import Client, keys
from sortgate.errors import ConfigurationError, MessageError, QueueFullError
from sortgate.streams.admin import dead_letter, dead_letters, list_queues, purge, queue_stats, requeue
from sortgate.testing import FakeWorker

Q = "tickets"


def fail(text: str) -> str:
    raise ValueError(text)


def bury(url: str, redis: Any, texts: list[str], **options: Any) -> list[str]:
    """Have texts fail; returns their ids."""
    with Client(url, Q) as client:
        before = redis.xlen(keys.dead(Q))
        with FakeWorker(url, Q, fail):
            ids = client.submit(texts, **options)
            while redis.xlen(keys.dead(Q)) < before + len(texts):
                time.sleep(0.01)
        list(client.results(timeout=0.1))
    return ids


def test_an_empty_redis_has_no_queues_and_an_unknown_queue_is_empty(redis: Any) -> None:
    assert list_queues(redis) == []
    stats = queue_stats(redis, Q)
    assert (sum(stats.backlog.values()), stats.pending, stats.lag_s, stats.workers) == (0, 0, 0.0, [])
    assert redis.keys() == []  # asking creates nothing


def test_queues_are_listed_once_whatever_their_priorities_and_foreign_keys_are_left_out(
    redis_url: str, redis: Any
) -> None:
    for queue in ("b", "a.1"):
        for priority in ("high", "normal", "low"):
            with Client(redis_url, queue) as client:
                client.submit(["x"], priority=priority)
    redis.set("sortgate:{NOT A QUEUE}:requests", "x")
    redis.set("sortgate:{c}:requests:other", "x")
    assert list_queues(redis) == ["a.1", "b"]


def test_backlog_lag_and_pending_before_and_after_reading(redis_url: str, redis: Any) -> None:
    with Client(redis_url, Q) as client:
        client.submit(["a"] * 3)
        client.submit(["b"] * 2, priority="high")
        time.sleep(0.25)
        client.submit(["c"])
    stats = queue_stats(redis, Q)
    assert stats.backlog == {"high": 2, "normal": 4, "low": 0}
    assert 0.2 < stats.lag_s < 5.0

    for priority in ("high", "normal"):
        redis.xgroup_create(keys.requests(Q, priority), keys.GROUP, id="0")
    redis.xreadgroup(keys.GROUP, "w1", {keys.requests(Q, "high"): ">"})
    redis.xreadgroup(keys.GROUP, "w2", {keys.requests(Q): ">"}, count=3)
    stats = queue_stats(redis, Q)
    assert stats.backlog == {"high": 0, "normal": 1, "low": 0}
    assert (stats.pending, stats.consumers) == (5, {"w1": 2, "w2": 3})
    assert stats.lag_s < stats.oldest_pending_s  # only the late text still waits
    assert stats.oldest_pending_s > 0.2


def test_entries_deleted_out_of_order_do_not_upset_the_figures(redis_url: str, redis: Any) -> None:
    with Client(redis_url, Q) as client:
        client.submit(["a"] * 10)
    redis.xgroup_create(keys.requests(Q), keys.GROUP, id="0")
    ((_, entries),) = redis.xreadgroup(keys.GROUP, "w", {keys.requests(Q): ">"}, count=6)
    for entry, _ in entries[::2]:
        redis.xack(keys.requests(Q), keys.GROUP, entry)
        redis.xdel(keys.requests(Q), entry)
    stats = queue_stats(redis, Q)
    assert (stats.backlog["normal"], stats.pending) == (4, 3)


def test_workers_totals_dead_letters_and_results(redis_url: str, redis: Any) -> None:
    bury(redis_url, redis, ["x", "y"])
    beat = {"host": "h", "pid": 7, "in_flight": 3, "done": 40, "at_ms": redis.time()[0] * 1000 - 5000}
    redis.hset(keys.workers(Q), mapping={"w": json.dumps(beat), "broken": "{", "odd": "[]"})
    redis.xadd(keys.results(Q), {"a": "b"})
    stats = queue_stats(redis, Q)
    assert (stats.dead, stats.results, stats.totals["error"]) == (2, 1, 2)
    (worker,) = stats.workers
    assert (worker.consumer, worker.host, worker.pid, worker.in_flight, worker.done) == ("w", "h", 7, 3, 40)
    assert 4.0 < worker.age_s < 8.0


def test_dead_letters_are_listed_in_pages_and_shown_one_by_one(redis_url: str, redis: Any) -> None:
    ids = bury(redis_url, redis, [f"t{i}" for i in range(700)])
    letters = list(dead_letters(redis, Q))
    assert [letter.fields["id"] for letter in letters] == ids
    assert [letter.fields["text"] for letter in letters] == [f"t{i}" for i in range(700)]
    assert {(letter.status, letter.code, letter.message) for letter in letters} == {
        ("error", "component_failed", "ValueError")
    }
    assert not any(name.startswith("dead_") for name in letters[0].fields)
    assert [letter.entry for letter in dead_letters(redis, Q, limit=3)] == [letter.entry for letter in letters[:3]]
    assert len(list(dead_letters(redis, Q, limit=600))) == 600
    assert dead_letter(redis, Q, letters[5].entry) == letters[5]
    assert dead_letter(redis, Q, "1-1") is None
    with pytest.raises(ConfigurationError, match="no entry id"):
        dead_letter(redis, Q, "-")


def test_a_requeued_text_is_answered_anew_though_its_id_was_answered(redis_url: str, redis: Any) -> None:
    bury(redis_url, redis, ["x"], ids=["mine"], meta="m", priority="low", deadline_s=60)
    (letter,) = dead_letters(redis, Q)
    added = requeue(redis, Q, letter.entry)
    ((entry, fields),) = redis.xrange(keys.requests(Q, "low"))  # where it came from
    assert entry == added
    assert fields == {"v": "1", "id": "mine", "text": "x", "meta": "m", "requeue_of": letter.entry}
    assert redis.xlen(keys.dead(Q)) == 0
    assert requeue(redis, Q, letter.entry) is None
    with FakeWorker(redis_url, Q, lambda text: text), Client(redis_url, Q) as client:
        (result,) = client.results(max=1, timeout=5)
    assert (result.id, result.label, result.meta, result.requeue_of) == ("mine", "x", "m", letter.entry)


def test_requeue_keeps_the_bound_and_refuses_what_holds_no_text(redis_url: str, redis: Any) -> None:
    bury(redis_url, redis, ["x"])
    (letter,) = dead_letters(redis, Q)
    with Client(redis_url, Q) as client:
        client.submit(["a", "b"])
    with pytest.raises(QueueFullError, match="bound of 2 texts"):
        requeue(redis, Q, letter.entry, requests_limit=2)
    empty = redis.xadd(keys.dead(Q), {"dead_entry": "1-1", "dead_status": "dead"})
    with pytest.raises(MessageError, match="holds no text"):
        requeue(redis, Q, empty)
    assert redis.xlen(keys.dead(Q)) == 2  # both stay


def test_a_dead_letter_goes_back_to_a_stream_of_its_own_queue_only(redis: Any) -> None:
    entry = redis.xadd(keys.dead(Q), {"v": "1", "text": "x", "dead_stream": "sortgate:{other}:requests"})
    requeue(redis, Q, entry)
    assert redis.xlen(keys.requests(Q)) == 1
    assert not redis.exists("sortgate:{other}:requests")


def test_purge_deletes_some_or_all(redis_url: str, redis: Any) -> None:
    bury(redis_url, redis, ["a", "b", "c"])
    letters = list(dead_letters(redis, Q))
    assert purge(redis, Q, [letters[1].entry, "1-1"]) == 1
    assert purge(redis, Q, []) == 0
    assert [letter.entry for letter in dead_letters(redis, Q)] == [letters[0].entry, letters[2].entry]
    assert purge(redis, Q) == 2
    assert redis.xlen(keys.dead(Q)) == 0

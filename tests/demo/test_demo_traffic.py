"""The demo's accounting, against real workers: what is lost or doubled must show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis as redis_py

from sortgate import keys
from sortgate.demo import traffic
from sortgate.demo.traffic import round_trips_ms, stream_texts
from sortgate.errors import BrokerError

TEXTS = [f"hello world number {i}" for i in range(1200)]


def ignore(_: int) -> None:
    """A progress bar that nobody sees."""


def test_every_text_is_answered_once(start_worker: Callable[..., Any], redis_url: str) -> None:
    start_worker()
    shown: list[int] = []
    found = stream_texts(redis_url, "toy", [*TEXTS, ""], on_progress=shown.append, check=lambda: None)
    assert found.audit.valid
    assert found.audit.attempted == found.audit.ok == len(TEXTS) + 1
    assert [result.status for result in found.results if result] == ["ok"] * len(TEXTS) + ["error"]
    assert shown == sorted(shown)
    assert shown[-1] == len(TEXTS) + 1
    assert found.texts_per_s > 0
    assert len(found.latencies_ms) == len(TEXTS) + 1


def test_round_trips_are_measured_for_texts_that_fail_too(start_worker: Callable[..., Any], redis_url: str) -> None:
    start_worker()
    times = round_trips_ms(redis_url, "toy", ["hello world", " "])
    assert len(times) == 2
    assert all(0 < ms < 30_000 for ms in times)


def test_lost_duplicated_and_unexpected_answers_are_counted(
    redis_url: str, redis: redis_py.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker of our own that loses the first text, answers the second twice and invents a third."""
    monkeypatch.setattr(traffic, "_SILENCE_S", 0.0)
    stream, results = keys.requests("toy"), keys.results("toy")

    def bad_worker() -> None:
        for entry, fields in redis.xrange(stream):
            position = int(fields["id"].rpartition("-")[2])
            answer = {"v": "1", "status": "ok", "label": "a", "score": "1", "labels": "[]"}
            for ident in {0: [], 1: [fields["id"]] * 2, 2: [fields["id"], "nobody-9"]}[position]:
                redis.xadd(results, {**answer, "id": ident})
            redis.xdel(stream, entry)

    found = stream_texts(redis_url, "toy", ["one", "two", "three"], on_progress=ignore, check=bad_worker)
    assert (found.audit.lost, found.audit.duplicated, found.audit.unexpected) == (1, 1, 1)
    assert found.results[0] is None
    assert not found.audit.valid


def test_redis_that_is_not_there_ends_the_demo() -> None:
    with pytest.raises(BrokerError):
        stream_texts("redis://127.0.0.1:1/0", "toy", ["one"], on_progress=ignore, check=lambda: None)

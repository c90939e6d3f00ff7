"""Results of submitted texts: each is given once, to one collector, whatever becomes of it."""

from __future__ import annotations

import threading
import time
from typing import Any

from answering import answered
from sortgate import Client, keys
from sortgate.testing import FakeWorker

Q = "q"


def left(redis: Any) -> tuple[int, int]:
    """Results in the stream, and those that a collector holds."""
    return redis.xlen(keys.results(Q)), redis.xpending(keys.results(Q), keys.COLLECTORS)["pending"]


def test_results_are_given_once_and_deleted(redis_url: str, redis: Any) -> None:
    ids = answered(redis_url, redis, Q, 700)
    with Client(redis_url, Q) as client:
        assert [result.id for result in client.results(timeout=0.2)] == ids
    assert left(redis) == (0, 0)
    assert redis.xinfo_consumers(keys.results(Q), keys.COLLECTORS) == []


def test_an_item_is_deleted_only_when_the_iterator_moves_on(redis_url: str, redis: Any) -> None:
    ids = answered(redis_url, redis, Q, 5)
    with Client(redis_url, Q) as client:
        iteration = client.results(timeout=0.2)
        assert next(iteration).id == ids[0]
        assert left(redis) == (5, 5)
        assert next(iteration).id == ids[1]
        assert left(redis) == (4, 4)
        iteration.close()  # the second was not moved on from
        assert redis.xlen(keys.results(Q)) == 4
        assert sorted(result.id for result in client.results(timeout=0.2)) == sorted(ids[1:])


def test_results_stop_at_max_and_wait_no_longer_than_asked(redis_url: str, redis: Any) -> None:
    ids = answered(redis_url, redis, Q, 10)
    with Client(redis_url, Q) as client:
        assert [result.id for result in client.results(max=4)] == ids[:4]
        assert left(redis)[0] == 6
        assert len(list(client.results(timeout=0.1))) == 6
        started = time.monotonic()
        assert list(client.results(timeout=0.3)) == []
        assert 0.25 < time.monotonic() - started < 1.5


def test_collectors_share_the_results_out(redis_url: str, redis: Any) -> None:
    ids = answered(redis_url, redis, Q, 900)
    got: list[str] = []

    def collect() -> None:
        with Client(redis_url, Q) as client:
            got.extend(result.id for result in client.results(timeout=0.3))

    threads = [threading.Thread(target=collect) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == sorted(ids)


def test_what_a_crashed_collector_held_is_taken_over(redis_url: str, redis: Any) -> None:
    ids = answered(redis_url, redis, Q, 20)
    with Client(redis_url, Q) as client:
        list(client.results(max=1, timeout=0.1))
        redis.xreadgroup(keys.COLLECTORS, "crashed", {keys.results(Q): ">"}, count=100)
        assert list(client.results(timeout=0.1)) == []
        time.sleep(0.3)
        assert [result.id for result in client.results(timeout=0.2, claim_idle_s=0.2)] == ids[1:]
    assert left(redis) == (0, 0)


def test_a_slow_collector_does_not_give_an_item_that_was_taken_from_it(redis_url: str, redis: Any) -> None:
    ids = answered(redis_url, redis, Q, 4)
    with Client(redis_url, Q) as client, Client(redis_url, Q) as other:
        slow = client.results(timeout=0.2, claim_idle_s=0.4)
        assert next(slow).id == ids[0]
        time.sleep(0.5)  # longer than another collector waits
        taken = [result.id for result in other.results(timeout=0.2, claim_idle_s=0.4)]
        assert taken == ids
        assert list(slow) == []


def test_deleted_and_foreign_entries_do_no_harm(redis_url: str, redis: Any) -> None:
    ids = answered(redis_url, redis, Q, 3)
    redis.xgroup_create(keys.results(Q), keys.COLLECTORS, id="0")
    ((_, entries),) = redis.xreadgroup(keys.COLLECTORS, "crashed", {keys.results(Q): ">"}, count=1)
    redis.xdel(keys.results(Q), entries[0][0])
    redis.xadd(keys.results(Q), {b"what": b"\xff"})
    redis.xadd(keys.results(Q), {"id": "deep", "status": "ok", "explanation": '{"a":' * 10_000})
    with Client(redis_url, Q) as client:
        time.sleep(0.05)
        found = list(client.results(timeout=0.2, claim_idle_s=0.01))
    assert [result.id for result in found[:2]] == ids[1:]
    assert [(result.status, result.code) for result in found[2:]] == [("error", "bad_result")] * 2
    assert left(redis) == (0, 0)


def test_results_go_on_when_the_group_is_lost(redis_url: str, redis: Any) -> None:
    with Client(redis_url, Q) as client:
        iteration = client.results(timeout=3.0)
        threading.Timer(0.2, lambda: redis.delete(keys.results(Q))).start()
        worker = FakeWorker(redis_url, Q, str.lower)
        threading.Timer(0.4, worker.__enter__).start()
        client.submit(["a"])
        assert next(iteration).label == "a"
        iteration.close()
        worker.__exit__(None, None, None)

"""One queue's consumer in a real event loop on a real Redis, while its links are cut at every point.

Answers are made here instead of in a pool process: what is tested is that each entry is read, answered and committed
once, whatever happens to the links in between.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import redis as redis_py

from looped import Harness, Q
from sortgate import Client, keys
from sortgate.faults import ChaosProxy
from sortgate.streams.scripts import run_script
from sortgate.types import PRIORITIES
from sortgate.worker import stream


@pytest.fixture
def harness(proxy: ChaosProxy) -> Iterator[Harness]:
    harness = Harness(proxy.url)
    yield harness
    harness.close()


@pytest.fixture
def client(redis_url: str) -> Iterator[Client]:
    with Client(redis_url, queue=Q) as client:
        yield client


def answers(redis: redis_py.Redis) -> list[str]:
    return [fields["id"] for _, fields in redis.xrange(keys.results(Q))]


def settled(redis: redis_py.Redis, harness: Harness) -> bool:
    return redis.xlen(keys.requests(Q)) == 0 and len(harness.consumer.hand) == 0


def test_w5_a_link_cut_at_any_byte_loses_and_doubles_nothing(
    proxy: ChaosProxy, harness: Harness, client: Client, redis: redis_py.Redis
) -> None:
    """Both links pass the proxy, so over all cuts reads, commits, leases and the reconnecting itself are hit."""
    ids: list[str] = []
    cuts = 0
    harness.run(lambda: harness.consumer._reader.reading)
    for after in [*range(0, 200, 4), *range(200, 7000, 170)]:
        # a second cut of the same kind, so that the reconnecting after the first is hit as well
        for way in (proxy.down, proxy.up) if after < 200 else (proxy.up,):
            for _ in range(2):
                way.cut_after = after
                while way.cut_after is not None:
                    ids += client.submit([f"text {len(ids) + i}" for i in range(3)])
                    ends = time.monotonic() + 0.03
                    harness.run(lambda ends=ends, way=way: way.cut_after is None or time.monotonic() > ends)
                cuts += 1
        harness.run(lambda: settled(redis, harness))
    assert cuts > 200
    assert sorted(answers(redis)) == sorted(ids)
    counters = redis.hgetall(keys.counters(Q))
    assert int(counters["expired"]) == len(ids)
    assert "reclaimed" not in counters, "its own entries are found again, not taken over"
    messages = {fields["message"] for _, fields in redis.xrange(keys.results(Q))}
    assert messages == {"0 failures"}, "a broken link is no failure of the text"
    own = harness.consumer.figures.counts
    assert own["accepted"] == own["expired"] + own["resent"] == len(ids), "each is counted once, whatever was repeated"
    assert own["stale"] == own["duplicates"] == 0


def test_w6_a_commit_whose_reply_is_lost_is_sent_again_and_does_nothing_twice(
    proxy: ChaosProxy, harness: Harness, client: Client, redis: redis_py.Redis
) -> None:
    harness.answering = False
    ids = client.submit([f"text {i}" for i in range(10)])
    harness.run(lambda: sum(len(batch.entries) for batch in harness.batches) == 10)
    proxy.down.held = True
    harness.answer()
    harness.run(lambda: redis.xlen(keys.results(Q)) == 10)  # Redis has it, the worker does not know
    assert len(harness.consumer.hand) == 10, "nothing is let go of before Redis has confirmed"
    proxy.reset()
    proxy.down.held = False
    harness.run(lambda: settled(redis, harness))
    assert sorted(answers(redis)) == sorted(ids)
    own = harness.consumer.figures.counts
    assert (own["accepted"], own["resent"], own["stale"]) == (10, 10, 0), "no other worker had a hand in it"
    assert redis.hget(keys.counters(Q), "suppressed") == "10"
    proxy.reset()
    harness.run(lambda: not harness.consumer._commands.connected)
    harness.run(lambda: harness.consumer._commands.connected)
    harness.run(lambda: harness.consumer._commands.owes == 0)
    assert redis.hget(keys.counters(Q), "suppressed") == "10", "what is confirmed is not sent a third time"
    assert harness.consumer.done == 0, "counted by the one that Redis confirmed as first, of which nobody was told"


def test_answers_that_come_while_redis_is_away_are_committed_when_it_is_back(
    proxy: ChaosProxy, harness: Harness, client: Client, redis: redis_py.Redis
) -> None:
    harness.answering = False
    ids = client.submit([f"text {i}" for i in range(40)])
    harness.run(lambda: sum(len(batch.entries) for batch in harness.batches) == 40)
    proxy.down.held = proxy.up.held = True
    proxy.reset()
    harness.answer()
    time.sleep(0.5)
    proxy.down.held = proxy.up.held = False
    harness.run(lambda: settled(redis, harness))
    assert sorted(answers(redis)) == sorted(ids)
    assert redis.hget(keys.counters(Q), "suppressed") is None


def test_a_silent_peer_is_given_up_and_its_texts_are_kept(
    proxy: ChaosProxy, harness: Harness, client: Client, redis: redis_py.Redis
) -> None:
    harness.answering = False
    ids = client.submit(["a", "b"])
    harness.run(lambda: bool(harness.batches))
    first = harness.consumer._commands._socket
    proxy.down.held = True
    harness.answer()
    harness.run(lambda: not harness.consumer._commands.connected)
    proxy.down.held = False
    harness.run(lambda: settled(redis, harness))
    assert harness.consumer._commands._socket is not first
    assert sorted(answers(redis)) == sorted(ids)


def test_lost_scripts_and_groups_heal(harness: Harness, client: Client, redis: redis_py.Redis) -> None:
    for spoil in (redis.script_flush, redis.flushall, lambda: redis.xgroup_destroy(keys.requests(Q), keys.GROUP)):
        harness.run(lambda: harness.consumer._reader.reading)
        spoil()
        [ident] = client.submit(["text"])
        harness.run(lambda ident=ident: ident in answers(redis))


def test_a_lease_lost_to_another_worker_leaves_the_late_answer_suppressed(
    proxy: ChaosProxy, harness: Harness, client: Client, redis: redis_py.Redis
) -> None:
    harness.answering = False
    ids = client.submit(["a", "b", "c"])
    harness.run(lambda: bool(harness.batches))
    proxy.up.held = True  # leases cannot be renewed
    time.sleep(1.2)
    other = Harness(proxy.url.replace(str(proxy.port), str(proxy._target[1])))
    other.run(lambda: len(answers(redis)) == 3 and len(other.consumer.hand) == 0)
    other.close()
    proxy.up.held = False
    harness.answer()
    harness.run(lambda: len(harness.consumer.hand) == 0)
    assert sorted(answers(redis)) == sorted(ids)
    assert int(redis.hget(keys.counters(Q), "reclaimed") or 0) == 3
    messages = {fields["message"] for _, fields in redis.xrange(keys.results(Q))}
    assert messages == {"1 failures"}, "a lease that ran out counts: its worker may have died of the text"
    own, others = harness.consumer.figures.counts, other.consumer.figures.counts
    # which of them depends on whether the link is given up meanwhile
    assert (own["accepted"], own["stale"] + own["resent"], own["expired"]) == (3, 3, 0)
    assert [others[name] for name in ("accepted", "reclaimed", "redelivered", "expired")] == [3, 3, 3, 3]


def test_urgent_texts_come_first_and_one_stream_alone_fills_the_room(proxy: ChaosProxy, redis: redis_py.Redis) -> None:
    for priority in PRIORITIES:
        for i in range(100):
            redis.xadd(keys.requests(Q, priority), {"v": "1", "text": "t", "id": f"{priority}-{i}"})
        run_script(redis, "group", [keys.requests(Q, priority)], keys.GROUP)
    harness = Harness(proxy.url)
    harness.answering = False
    harness.run(lambda: len(harness.consumer.hand) >= 60)
    owned = {priority: redis.xpending(keys.requests(Q, priority), keys.GROUP)["pending"] for priority in PRIORITIES}
    assert owned == {"high": 64 * 8 // 12, "normal": 64 * 3 // 12, "low": 64 // 12}
    redis.delete(keys.requests(Q, "high"), keys.requests(Q, "low"))
    harness.answering = True
    harness.answer()
    harness.run(lambda: settled(redis, harness))
    assert sum(ident.startswith("normal-") for ident in answers(redis)) == 100
    harness.close()


def test_reading_pauses_while_the_result_stream_is_full(
    proxy: ChaosProxy, client: Client, redis: redis_py.Redis
) -> None:
    harness = Harness(proxy.url, results_limit=5)
    harness.run(lambda: harness.consumer._reader.reading)
    for _ in range(5):
        redis.xadd(keys.results(Q), {"someone": "else's"})
    harness.run(lambda: harness.consumer._reader.results_full)
    ids = client.submit(["a", "b", "c"])
    ends = time.monotonic() + 1.0
    harness.run(lambda: time.monotonic() > ends)
    assert redis.xlen(keys.requests(Q)) == 3
    assert len(harness.consumer.hand) <= 3
    assert redis.xlen(keys.results(Q)) == 5
    redis.delete(keys.results(Q))
    harness.run(lambda: settled(redis, harness))
    assert sorted(answers(redis)) == sorted(ids)
    harness.close()


def test_garbage_on_a_link_is_a_lost_link(
    proxy: ChaosProxy, harness: Harness, client: Client, redis: redis_py.Redis
) -> None:
    harness.run(lambda: harness.consumer._reader.reading)
    for _ in range(3):
        proxy.inject(b"HTTP/1.1 503 gone\r\n\r\n")
        ids = client.submit(["a", "b"])
        harness.run(lambda ids=ids: set(ids) <= set(answers(redis)))


def test_a_pause_of_the_loop_is_no_silence_of_redis(harness: Harness, client: Client, redis: redis_py.Redis) -> None:
    harness.run(lambda: harness.consumer._reader.reading)
    first = harness.consumer._reads._socket
    time.sleep(3.5)  # longer than time-out and blocking read together
    ids = client.submit(["a"])
    harness.run(lambda: answers(redis) == ids)
    assert harness.consumer._reads._socket is first


def test_reconnecting_to_a_slow_redis_has_an_end(proxy: ChaosProxy, harness: Harness) -> None:
    harness.run(lambda: harness.consumer._reader.reading)
    proxy.down.rate = 150
    proxy.reset()
    harness.run(lambda: not harness.consumer._connected)
    started = time.monotonic()
    harness.consumer._connect()  # the replies to the scripts alone take longer than its time-out
    assert time.monotonic() - started < 5.0
    assert not harness.consumer._connected
    proxy.down.rate = 0
    harness.run(lambda: harness.consumer._connected)


def test_finishing_while_redis_is_silent_has_an_end(proxy: ChaosProxy, harness: Harness, client: Client) -> None:
    harness.answering = False
    client.submit(["a", "b"])
    harness.run(lambda: bool(harness.batches))
    proxy.up.held = proxy.down.held = True
    harness.answer()
    harness.consumer.stop_reading()
    started = time.monotonic()
    harness.consumer.finish(started + 2.0)
    assert time.monotonic() - started < 6.0


def test_stopping_hands_back_what_no_process_has(harness: Harness, client: Client, redis: redis_py.Redis) -> None:
    harness.answering = False
    ids = client.submit([f"text {i}" for i in range(30)])
    harness.run(lambda: sum(len(batch.entries) for batch in harness.batches) == 30)
    started, rest = harness.batches[:1], harness.batches[1:]
    for batch in reversed(rest):
        harness.consumer.hand.put_back(batch)
    harness.consumer.stop_reading()
    owners = {item["name"]: item["pending"] for item in redis.xpending(keys.requests(Q), keys.GROUP)["consumers"]}
    assert owners == {harness.consumer.consumer: 16, keys.RELEASED: 14}
    harness.batches = started
    harness.answer()
    harness.consumer.finish(time.monotonic() + 5.0)
    assert sorted(answers(redis)) == sorted(ids[:16])
    assert redis.xpending(keys.requests(Q), keys.GROUP)["pending"] == 14
    own = harness.consumer.figures.counts
    assert (own["accepted"], own["released"], own["expired"]) == (30, 14, 16)
    assert keys.RELEASED in {item["name"] for item in redis.xinfo_consumers(keys.requests(Q), keys.GROUP)}
    assert harness.consumer.consumer not in {
        item["name"] for item in redis.xinfo_consumers(keys.requests(Q), keys.GROUP)
    }


def test_figures_that_redis_refuses_to_give_break_no_link(
    proxy: ChaosProxy, client: Client, redis: redis_py.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = Harness(proxy.url, metrics_port=1, health_timeout_s=1.0)
    harness.run(lambda: harness.consumer.report().state is not None)
    socket = harness.consumer._commands._socket
    monkeypatch.setattr(stream, "state_command", lambda queue: ("FORBIDDEN", queue))
    harness.run(lambda: harness.consumer._watch.refused)
    ids = client.submit(["a", "b"])
    harness.run(lambda: sorted(answers(redis)) == sorted(ids))
    assert harness.consumer._commands._socket is socket
    monkeypatch.undo()
    redis.script_flush()
    last = harness.consumer.report().state
    harness.run(lambda: harness.consumer.report().state is not last)
    harness.close()


def test_time_without_progress_begins_with_the_work(harness: Harness, client: Client) -> None:
    """However long the queue was empty before: a burst does not make its worker look stuck."""
    consumer = harness.consumer
    harness.answering = False
    harness.run(lambda: consumer._reader.reading)
    assert not consumer.report().has_work
    time.sleep(0.2)
    began = time.monotonic()
    consumer.report()
    client.submit(["a"])
    harness.run(lambda: bool(harness.batches))
    first = consumer.report()
    assert first.has_work
    assert first.progress_at >= began
    time.sleep(0.2)
    assert consumer.report().progress_at == first.progress_at, "from then on only an answer counts"
    harness.answer()
    harness.run(lambda: len(consumer.hand) == 0)
    assert consumer.outcomes.progress_at > first.progress_at

"""The Lua scripts on a real Redis: who gets a text, who answers it, and that it is answered once."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest
import redis as redis_py

from scripts import FIELDS, STREAMS, Q, add, claim, commit, deliveries, read, recover
from sortgate import keys
from sortgate.streams.admin import queue_stats
from sortgate.streams.scripts import run_script
from sortgate.worker.state import QueueState, parse_state, state_command


def test_the_group_starts_at_the_first_entry_and_is_made_once(redis: redis_py.Redis) -> None:
    entry = add(redis)
    read(redis)
    assert deliveries(redis) == {entry: ("w1", 1)}
    read(redis, "w2")
    assert deliveries(redis) == {entry: ("w1", 1)}, "the group that is there stays as it is"


def test_the_group_can_be_made_while_memory_is_full(redis: redis_py.Redis) -> None:
    entry = add(redis)
    redis.config_set("maxmemory", 1)
    with pytest.raises(redis_py.ResponseError, match="maxmemory"):
        redis.xgroup_create(STREAMS[1], "another", "0")
    read(redis)
    redis.config_set("maxmemory", 0)
    assert deliveries(redis) == {entry: ("w1", 1)}


def test_commit_answers_once(redis: redis_py.Redis) -> None:
    entry = add(redis)
    read(redis)
    assert commit(redis, (2, entry, "", "", "ok", FIELDS))[:5] == [1, 0, 0, 0, 1]
    assert commit(redis, (2, entry, "", "", "ok", FIELDS))[:5] == [0, 1, 0, 0, 1], "the second finisher is suppressed"
    assert redis.xlen(STREAMS[1]) == 0
    assert deliveries(redis) == {}
    [(_, fields)] = redis.xrange(keys.results(Q))
    assert fields["label"] == "a"
    assert redis.hgetall(keys.counters(Q)) == {"ok": "1", "suppressed": "1"}


def test_commit_says_how_many_it_answered_by_status(redis: redis_py.Redis) -> None:
    statuses = ["ok", "expired", "error", "ok", "rejected", "dead", "ok"]
    entries = [add(redis) for _ in statuses]
    read(redis)
    answers = [(2, entry, "", "", status, FIELDS) for entry, status in zip(entries, statuses, strict=True)]
    assert commit(redis, *answers)[5:] == [3, 1, 1, 1, 1]
    assert commit(redis, *answers)[5:] == [0] * 5


def state(redis: redis_py.Redis) -> QueueState:
    about = redis.connection_pool.connection_kwargs
    with redis_py.Redis(host=about["host"], port=about["port"], protocol=2) as link:  # which returns bytes, as a Link
        number_of_keys, *rest = state_command(Q)[2:]
        queue_keys, args = rest[: int(number_of_keys)], rest[int(number_of_keys) :]
        return parse_state(run_script(link, "state", [str(key) for key in queue_keys], *args))


NOTHING = QueueState({"high": 0, "normal": 0, "low": 0}, 0, 0.0, 0.0, 0, 0, {})


def test_state_of_a_queue_that_is_not_there_yet(redis: redis_py.Redis) -> None:
    assert state(redis) == NOTHING
    read(redis)
    assert state(redis) == NOTHING


def test_state_is_that_which_the_operator_sees(redis: redis_py.Redis) -> None:
    """Beside the two dozen commands of ``sortgate queues``, which know the same."""
    now_ms = redis.time()[0] * 1000
    redis.xadd(STREAMS[1], {"v": "1", "text": "t"}, id=f"{now_ms - 60_000}-0")
    entry = add(redis)
    read(redis)
    commit(redis, (2, entry, "", "", "error", FIELDS))
    for number, age_ms in ((1, 9_000), (3, 30_000)):
        for i in range(2):
            redis.xadd(STREAMS[number - 1], {"v": "1", "text": "t"}, id=f"{now_ms - age_ms}-{i}")
    found, seen = state(redis), queue_stats(redis, Q)
    assert found.backlog == seen.backlog == {"high": 2, "normal": 0, "low": 2}
    assert (found.pending, found.results, found.dead) == (seen.pending, seen.results, seen.dead) == (1, 1, 1)
    assert found.totals == seen.totals == {"error": 1}
    assert found.lag_s == pytest.approx(seen.lag_s, abs=0.5) == pytest.approx(30.0, abs=2.0)
    assert found.oldest_pending_s == pytest.approx(seen.oldest_pending_s, abs=0.5) == pytest.approx(60.0, abs=2.0)


def test_state_fails_on_nothing_that_one_key_has_wrong(redis: redis_py.Redis) -> None:
    for key in (*STREAMS, keys.results(Q), keys.dead(Q), keys.counters(Q)):
        redis.set(key, "something else")
    assert state(redis) == NOTHING


def test_commit_drops_the_second_text_of_an_id(redis: redis_py.Redis) -> None:
    first, second = add(redis), add(redis)
    read(redis)
    answers = [(2, entry, "same", "", "ok", FIELDS) for entry in (first, second)]
    assert commit(redis, *answers)[:3] == [1, 0, 1]
    assert redis.xlen(STREAMS[1]) == 0, "the duplicate is gone too"


def test_window_of_zero_turns_deduplication_off(redis: redis_py.Redis) -> None:
    answers = [(2, add(redis), "same", "", "ok", FIELDS) for _ in range(2)]
    read(redis)
    assert commit(redis, *answers, window=0)[0] == 2


def test_window_ends_and_memory_is_bounded(redis: redis_py.Redis) -> None:
    first = [(2, add(redis), f"id{i}", "", "ok", FIELDS) for i in range(20)]
    read(redis)
    commit(redis, *first, remembered=5)
    assert redis.zcard(keys.seen(Q)) == 5
    time.sleep(0.05)
    again = add(redis)
    read(redis)
    assert commit(redis, (2, again, "id19", "", "ok", FIELDS), window=20)[0] == 1, "its window is over"


def test_reply_stream_gets_the_result_and_a_new_expiry(redis: redis_py.Redis) -> None:
    reply = keys.reply(Q, "c1")
    redis.xgroup_create(reply, "r", mkstream=True)
    entry = add(redis)
    read(redis)
    assert commit(redis, (2, entry, "", reply, "ok", FIELDS))[:5] == [1, 0, 0, 0, 0]
    assert redis.xlen(reply) == 1
    assert redis.pttl(reply) > 3_000_000


@pytest.mark.parametrize("broken", ["gone", "full", "wrong type"])
def test_undeliverable_reply_ends_in_results(redis: redis_py.Redis, broken: str) -> None:
    reply = keys.reply(Q, "c1")
    if broken == "full":
        for _ in range(10):
            redis.xadd(reply, {"a": "b"})
    elif broken == "wrong type":
        redis.set(reply, "x")
    entry = add(redis)
    read(redis)
    assert commit(redis, (2, entry, "", reply, "ok", FIELDS))[:5] == [1, 0, 0, 1, 1]
    [(_, fields)] = redis.xrange(keys.results(Q))
    assert fields["undelivered_to"] == reply
    assert (redis.exists(reply) == 0) == (broken == "gone"), "a reply stream nobody made is not made here"


def test_results_of_the_wrong_type_lose_nothing(redis: redis_py.Redis) -> None:
    redis.set(keys.results(Q), "x")
    entry = add(redis)
    read(redis)
    with pytest.raises(redis_py.ResponseError, match="WRONGTYPE"):
        commit(redis, (2, entry, "", "", "ok", FIELDS))
    assert entry in deliveries(redis), "still to be answered"


def test_commit_works_when_memory_is_full(redis: redis_py.Redis) -> None:
    entry = add(redis)
    read(redis)
    redis.config_set("maxmemory", 1)
    with pytest.raises(redis_py.exceptions.OutOfMemoryError):
        add(redis)
    assert commit(redis, (2, entry, "id", "", "ok", FIELDS))[0] == 1
    assert redis.xlen(keys.results(Q)) == 1


@pytest.mark.parametrize("status", ["error", "dead"])
def test_failed_texts_leave_a_copy(redis: redis_py.Redis, status: str) -> None:
    entry = add(redis, id="x", meta="m")
    read(redis)
    commit(redis, (2, entry, "x", "", status, ["v", "1", "id", "x", "status", status, "code", "c", "message", "m"]))
    [(_, copy)] = redis.xrange(keys.dead(Q))
    assert copy["text"] == "t"
    assert (copy["dead_status"], copy["dead_code"], copy["dead_entry"]) == (status, "c", entry)


def test_claim_waits_for_the_lease_and_counts_the_delivery(redis: redis_py.Redis) -> None:
    entry = add(redis)
    read(redis, "w1")
    assert claim(redis, "w2", 10_000) == []
    time.sleep(0.02)
    [[number, taken, count, fields]] = claim(redis, "w2", 10)
    assert (number, taken, count) == (2, entry, 2)
    assert fields[:2] == ["v", "1"]
    assert deliveries(redis) == {entry: ("w2", 2)}


def test_claim_acknowledges_what_was_deleted_by_hand(redis: redis_py.Redis) -> None:
    entry = add(redis)
    read(redis, "w1")
    redis.xdel(STREAMS[1], entry)
    time.sleep(0.02)
    assert claim(redis, "w2", 10) == []
    assert deliveries(redis) == {}
    assert redis.hget(keys.counters(Q), "vanished") == "1"


def test_claim_deletes_only_empty_consumers(redis: redis_py.Redis) -> None:
    entry = add(redis)
    read(redis, "busy")
    read(redis, "empty")
    time.sleep(0.02)
    claim(redis, "w2", 100_000, idle_consumer_ms=10)
    assert {c["name"] for c in redis.xinfo_consumers(STREAMS[1], keys.GROUP)} == {"busy"}
    assert entry in deliveries(redis)


def test_recover_fetches_what_a_broken_link_swallowed_without_counting_it(redis: redis_py.Redis) -> None:
    lost, known = add(redis), add(redis)
    read(redis, "w1")
    for _ in range(3):
        [[number, entry, count, fields]] = recover(redis, "w1", [[], [known], []])
    assert (number, entry, count) == (2, lost, 1)
    assert fields[2:4] == ["text", "t"]


def test_renew_keeps_the_lease_and_leaves_other_workers_alone(redis: redis_py.Redis) -> None:
    mine, theirs = add(redis), add(redis)
    read(redis, "w1", room=1)
    read(redis, "w2")
    time.sleep(0.03)
    packed = msgspec.msgpack.encode([[], [mine, theirs], []])
    all_keys = [*STREAMS, keys.workers(Q)]
    owners = deliveries(redis)
    assert run_script(redis, "renew", all_keys, keys.GROUP, "w1", packed, "{}") == sum(
        1 for owner, _ in owners.values() if owner == "w1"
    )
    taken = [entry for _, entry, _, _ in claim(redis, "w3", 20)]
    assert taken == [entry for entry, (owner, _) in owners.items() if owner == "w2"]


def test_release_hands_back_without_counting_and_leaves_only_when_empty(redis: redis_py.Redis) -> None:
    first, second = add(redis), add(redis)
    read(redis, "w1")
    all_keys = [*STREAMS, keys.workers(Q)]

    def release(*items: tuple[int, str, int]) -> Any:
        packed = msgspec.msgpack.encode(items)
        return run_script(redis, "release", all_keys, keys.GROUP, "w1", keys.RELEASED, 1, packed)

    assert release((2, first, 0)) == 1
    assert deliveries(redis)[first] == (keys.RELEASED, 0)
    assert "w1" in {c["name"] for c in redis.xinfo_consumers(STREAMS[1], keys.GROUP)}, "it still holds a text"
    release((2, second, 0))
    assert "w1" not in {c["name"] for c in redis.xinfo_consumers(STREAMS[1], keys.GROUP)}
    taken = claim(redis, "w2", 15_000)
    assert [(entry, count) for _, entry, count, _ in taken] == [(first, 1), (second, 1)]

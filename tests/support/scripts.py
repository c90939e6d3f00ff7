"""The Lua scripts as functions, with the arguments that a worker gives them, on one queue."""

from __future__ import annotations

from typing import Any

import msgspec
import redis as redis_py

from sortgate import keys
from sortgate.streams.scripts import run_script

Q = "q"
STREAMS = [keys.requests(Q, "high"), keys.requests(Q), keys.requests(Q, "low")]
FIELDS = ["v", "1", "id", "x", "status", "ok", "label", "a"]


def read(redis: redis_py.Redis, consumer: str = "w1", room: int = 100) -> None:
    """Give a consumer what no other has, as a worker reads it."""
    for stream in STREAMS:
        run_script(redis, "group", [stream], keys.GROUP)
        redis.xreadgroup(keys.GROUP, consumer, {stream: ">"}, count=room)


def commit(redis: redis_py.Redis, *answers: tuple[int, str, str, str, str, list[str]], **options: int) -> list[int]:
    all_keys = [*STREAMS, keys.results(Q), keys.dead(Q), keys.seen(Q), keys.counters(Q)]
    reply: list[int] = run_script(
        redis,
        "commit",
        all_keys,
        keys.GROUP,
        options.get("window", 600_000),
        options.get("remembered", 1000),
        options.get("reply_bound", 10),
        3_600_000,
        1000,
        1000,
        msgspec.msgpack.encode(answers),
    )
    return reply


def recover(redis: redis_py.Redis, consumer: str, in_hand: list[list[str]]) -> Any:
    packed = msgspec.msgpack.encode(in_hand)
    return run_script(redis, "recover", STREAMS, keys.GROUP, consumer, packed, 100)


def claim(redis: redis_py.Redis, consumer: str, lease_ms: int, idle_consumer_ms: int = 3_600_000) -> Any:
    all_keys = [*STREAMS, keys.counters(Q), keys.workers(Q)]
    return run_script(redis, "claim", all_keys, keys.GROUP, consumer, lease_ms, 100, idle_consumer_ms)


def add(redis: redis_py.Redis, number: int = 2, **fields: str) -> str:
    entry = redis.xadd(STREAMS[number - 1], {"v": "1", "text": "t", **fields})
    assert isinstance(entry, str)
    return entry


def deliveries(redis: redis_py.Redis, stream: str = STREAMS[1]) -> dict[str, tuple[str, int]]:
    pending = redis.xpending_range(stream, keys.GROUP, "-", "+", 100)
    return {item["message_id"]: (item["consumer"], item["times_delivered"]) for item in pending}

"""What an operator asks of queues: their figures and their dead letters. Works on Redis 6.2 and 7."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import redis

from sortgate import keys
from sortgate.streams.scripts import run_script
from sortgate.types import PRIORITIES

_QUEUE = re.compile(r"sortgate:\{(.+?)\}:requests")


class WorkerBeat(msgspec.Struct, frozen=True):
    """A worker's last heartbeat.

    Attributes:
        age_s: seconds since then, by Redis's clock.
        in_flight: texts it had in hand.
        done: texts it has answered since it started.
    """

    consumer: str
    host: str
    pid: int
    in_flight: int
    done: int
    age_s: float


class QueueStats(msgspec.Struct, frozen=True):
    """Figures of one queue.

    Attributes:
        backlog: texts that no worker has read, by priority.
        pending: texts that workers have in hand.
        lag_s: age of the oldest text that no worker has read, in seconds; 0 when there is none.
        dead: dead letters.
        results: results that nobody has collected.
        totals: answers since the queue began, by status, with suppressed, duplicates, reclaimed, …
    """

    queue: str
    backlog: dict[str, int]
    pending: int
    lag_s: float
    dead: int
    results: int
    workers: list[WorkerBeat]
    totals: dict[str, int]


class DeadLetter(msgspec.Struct, frozen=True):
    """A request that failed, and why."""

    entry: str
    status: str
    code: str
    message: str
    fields: dict[str, str]


def list_queues(client: redis.Redis) -> list[str]:
    """Return the names of all queues that have a request stream."""
    found = set()
    for key in client.scan_iter("sortgate:{*}:requests*", count=1000):
        match = _QUEUE.match(key if isinstance(key, str) else key.decode("utf-8", "replace"))
        if match:
            found.add(match[1])
    return sorted(found)


def queue_stats(client: redis.Redis, queue: str) -> QueueStats:
    """Return the figures of ``queue``; ``client`` must decode responses."""
    seconds, microseconds = client.time()
    now_ms = seconds * 1000 + microseconds // 1000
    backlog: dict[str, int] = {}
    pending = 0
    lag_ms = 0
    for priority in PRIORITIES:
        stream = keys.requests(queue, priority)
        length, in_hand, last = client.xlen(stream), 0, "0-0"
        try:
            groups = client.xinfo_groups(stream)
        except redis.ResponseError:
            groups = []  # no such stream yet
        for group in groups:
            if group["name"] == keys.GROUP:
                in_hand, last = group["pending"], group["last-delivered-id"]
        # XINFO's own lag is absent on 6.2 and null on 7 once entries were deleted out of order
        backlog[priority] = max(0, length - in_hand)
        pending += in_hand
        if backlog[priority]:
            oldest = client.xrange(stream, min=f"({last}", count=1)
            if oldest:
                lag_ms = max(lag_ms, now_ms - int(oldest[0][0].partition("-")[0]))
    beats = [_beat(name, value, now_ms) for name, value in client.hgetall(keys.workers(queue)).items()]
    return QueueStats(
        queue=queue,
        backlog=backlog,
        pending=pending,
        lag_s=lag_ms / 1000.0,
        dead=client.xlen(keys.dead(queue)),
        results=client.xlen(keys.results(queue)),
        workers=sorted((beat for beat in beats if beat), key=lambda beat: beat.consumer),
        totals={name: int(value) for name, value in sorted(client.hgetall(keys.counters(queue)).items())},
    )


def _beat(consumer: str, value: str, now_ms: int) -> WorkerBeat | None:
    try:
        beat: dict[str, Any] = msgspec.json.decode(value)
        age = max(0.0, (now_ms - beat["at_ms"]) / 1000.0)
        return WorkerBeat(consumer, beat["host"], beat["pid"], beat["in_flight"], beat["done"], age)
    except (msgspec.DecodeError, KeyError, TypeError):
        return None


def dead_letters(client: redis.Redis, queue: str, *, limit: int | None = None) -> Iterator[DeadLetter]:
    """Yield the dead letters of ``queue``, oldest first."""
    last, left = "-", limit
    while left is None or left > 0:
        page = client.xrange(keys.dead(queue), min=last, count=min(500, left or 500))
        if not page:
            return
        for entry, fields in page:
            yield _dead_letter(entry, fields)
        last = f"({page[-1][0]}"
        left = None if left is None else left - len(page)


def dead_letter(client: redis.Redis, queue: str, entry: str) -> DeadLetter | None:
    """Return one dead letter, or None when there is none of that id."""
    found = client.xrange(keys.dead(queue), min=entry, max=entry)
    return _dead_letter(*found[0]) if found else None


def _dead_letter(entry: str, fields: dict[str, str]) -> DeadLetter:
    own = {name: value for name, value in fields.items() if not name.startswith("dead_")}
    status, code = fields.get("dead_status", ""), fields.get("dead_code", "")
    return DeadLetter(entry, status, code, fields.get("dead_message", ""), own)


def requeue(client: redis.Redis, queue: str, entry: str) -> str | None:
    """Enqueue a dead letter again; returns the new entry's id, or None when there is no such dead letter."""
    streams = [keys.requests(queue, priority) for priority in PRIORITIES]
    added: str | None = run_script(client, "requeue", [keys.dead(queue), *streams], entry)
    return added

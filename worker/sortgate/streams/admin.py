"""What an operator asks of queues: their figures and their dead letters. Works on Redis 6.2 and 7."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import redis

from sortgate import keys
from sortgate.errors import ConfigurationError, MessageError, QueueFullError
from sortgate.streams.scripts import run_script
from sortgate.types import PRIORITIES

_QUEUE = re.compile(r"sortgate:\{([a-z0-9._-]+)\}:requests(:high|:low)?$")
_ENTRY = re.compile(r"\d{1,20}-\d{1,20}")


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
        pending: texts that workers have in hand, or left behind when they died.
        oldest_pending_s: age of the oldest of those since it was enqueued, in seconds; 0 when there is none.
        consumers: members of the workers' group, with the number of texts each holds.
        lag_s: age of the oldest text that no worker has read, in seconds; 0 when there is none.
        dead: dead letters.
        results: results that nobody has collected.
        totals: answers since the queue began, by status, with suppressed, duplicates, reclaimed, …
    """

    queue: str
    backlog: dict[str, int]
    pending: int
    oldest_pending_s: float
    lag_s: float
    dead: int
    results: int
    consumers: dict[str, int]
    workers: list[WorkerBeat]
    totals: dict[str, int]


class DeadLetter(msgspec.Struct, frozen=True):
    """A request that failed, and why.

    Attributes:
        entry: id of the dead letter, what ``requeue`` and ``purge`` take.
        fields: the request as it was enqueued, its text included.
    """

    entry: str
    status: str
    code: str
    message: str
    fields: dict[str, str]


def list_queues(client: redis.Redis) -> list[str]:
    """Return the names of all queues that have a request stream; ``client`` must decode responses.

    Looks at every key of the database in small steps (``SCAN``), so a large one that is shared takes a while.
    """
    link: Any = client
    matches = (_QUEUE.match(key) for key in link.scan_iter("sortgate:{*}:requests*", count=1000))
    return sorted({match[1] for match in matches if match})


def queue_stats(client: redis.Redis, queue: str) -> QueueStats:
    """Return the figures of ``queue``; ``client`` must decode responses."""
    link: Any = client
    seconds, microseconds = link.time()
    now_ms = seconds * 1000 + microseconds // 1000
    backlog: dict[str, int] = {}
    consumers: dict[str, int] = {}
    lag_ms = oldest_ms = 0
    for priority in PRIORITIES:
        stream = keys.requests(queue, priority)
        length, last = link.xlen(stream), "0-0"
        held: dict[str, Any] = {"pending": 0, "min": None}
        try:
            groups = {group["name"]: group for group in link.xinfo_groups(stream)}
            last = groups[keys.GROUP]["last-delivered-id"]
            held = link.xpending(stream, keys.GROUP)
            for consumer in link.xinfo_consumers(stream, keys.GROUP):
                consumers[consumer["name"]] = consumers.get(consumer["name"], 0) + consumer["pending"]
        except (redis.ResponseError, KeyError):
            pass  # no such stream or group yet: nobody has read anything
        # XINFO's own lag is absent on 6.2 and null on 7 once entries were deleted out of order
        backlog[priority] = max(0, length - held["pending"])
        if held["min"]:
            oldest_ms = max(oldest_ms, now_ms - _entry_ms(held["min"]))
        unread = link.xrange(stream, min=f"({last}", count=1)
        if unread:
            lag_ms = max(lag_ms, now_ms - _entry_ms(unread[0][0]))
    beats = [_beat(name, value, now_ms) for name, value in link.hgetall(keys.workers(queue)).items()]
    return QueueStats(
        queue=queue,
        backlog=backlog,
        pending=sum(consumers.values()),
        oldest_pending_s=oldest_ms / 1000.0,
        lag_s=lag_ms / 1000.0,
        dead=link.xlen(keys.dead(queue)),
        results=link.xlen(keys.results(queue)),
        consumers=dict(sorted(consumers.items())),
        workers=sorted((beat for beat in beats if beat), key=lambda beat: beat.consumer),
        totals={name: int(value) for name, value in sorted(link.hgetall(keys.counters(queue)).items())},
    )


def _entry_ms(entry: str) -> int:
    """Return the Unix milliseconds at which Redis took an entry."""
    return int(entry.partition("-")[0])


def _beat(consumer: str, value: str, now_ms: int) -> WorkerBeat | None:
    try:
        beat: dict[str, Any] = msgspec.json.decode(value)
        age = max(0.0, (now_ms - beat["at_ms"]) / 1000.0)
        return WorkerBeat(consumer, beat["host"], beat["pid"], beat["in_flight"], beat["done"], age)
    except (msgspec.DecodeError, KeyError, TypeError):
        return None


def dead_letters(client: redis.Redis, queue: str, *, limit: int | None = None) -> Iterator[DeadLetter]:
    """Yield the dead letters of ``queue``, oldest first."""
    link: Any = client
    last, left = "-", limit
    while left is None or left > 0:
        page = link.xrange(keys.dead(queue), min=last, count=500 if left is None else min(500, left))
        if not page:
            return
        for entry, fields in page:
            yield _dead_letter(entry, fields)
        last = f"({page[-1][0]}"
        left = None if left is None else left - len(page)


def dead_letter(client: redis.Redis, queue: str, entry: str) -> DeadLetter | None:
    """Return one dead letter, or None when there is none of that id.

    Raises:
        ConfigurationError: ``entry`` is no id of a stream entry.
    """
    link: Any = client
    found = link.xrange(keys.dead(queue), min=_check_entry(entry), max=entry)
    return _dead_letter(*found[0]) if found else None


def requeue(client: redis.Redis, queue: str, entry: str, *, requests_limit: int = 1_000_000) -> str | None:
    """Enqueue a dead letter again, in one step; returns the new entry's id, or None when there is no such letter.

    The new request carries ``requeue_of`` and no reply stream: its answer goes to the queue's results.

    Raises:
        QueueFullError: the request stream is at its bound.
        MessageError: the dead letter holds no request (it had been deleted when it was answered).
        ConfigurationError: ``entry`` is no id of a stream entry.
    """
    streams = [keys.requests(queue, priority) for priority in PRIORITIES]
    outcome = run_script(client, "requeue", [keys.dead(queue), *streams], _check_entry(entry), requests_limit)
    if outcome[0] == "full":
        raise QueueFullError(f"queue {queue!r} is at its bound of {requests_limit:,} texts; try again later")
    if outcome[0] == "no_text":
        raise MessageError("no_text", f"dead letter {entry} holds no text that could be enqueued again")
    return str(outcome[1]) if outcome[0] == "ok" else None


def purge(client: redis.Redis, queue: str, entries: Sequence[str] | None = None) -> int:
    """Delete these dead letters, or all of them; returns how many.

    Raises:
        ConfigurationError: one of ``entries`` is no id of a stream entry.
    """
    link: Any = client
    if entries is None:
        return int(link.xtrim(keys.dead(queue), maxlen=0, approximate=False))
    return int(link.xdel(keys.dead(queue), *(_check_entry(entry) for entry in entries))) if entries else 0


def _dead_letter(entry: str, fields: dict[str, str]) -> DeadLetter:
    own = {name: value for name, value in fields.items() if not name.startswith("dead_")}
    status, code = fields.get("dead_status", ""), fields.get("dead_code", "")
    return DeadLetter(entry, status, code, fields.get("dead_message", ""), own)


def _check_entry(entry: str) -> str:
    if not _ENTRY.fullmatch(entry):
        raise ConfigurationError(f"{entry!r} is no entry id; `sortgate dead list` shows them (1717430400000-0)")
    return entry

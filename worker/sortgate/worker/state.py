"""The state of a whole queue as Redis has it: backlog, lag, ages and totals over all workers."""

from __future__ import annotations

from typing import Any

import msgspec

from sortgate import keys
from sortgate.streams.scripts import script_sha
from sortgate.types import PRIORITIES

#: How often a worker with metrics asks for it, in seconds.
STATE_S = 2.0


class QueueState(msgspec.Struct, frozen=True):
    """One answer of state.lua.

    Attributes:
        backlog: texts that no worker has read, by priority.
        pending: texts that workers have in hand, or left behind when they died.
        lag_s: age of the oldest text that no worker has read, in seconds; 0 when there is none.
        oldest_pending_s: age of the oldest pending text since it was enqueued, in seconds; 0 when there is none.
        results: results that nobody has collected.
        dead: dead letters.
        totals: the queue's counters over its whole life, by name.
    """

    backlog: dict[str, int]
    pending: int
    lag_s: float
    oldest_pending_s: float
    results: int
    dead: int
    totals: dict[str, int]


def state_command(queue: str) -> tuple[str | int, ...]:
    """Return the Redis command that :func:`parse_state` reads the reply of."""
    return (
        "EVALSHA", script_sha("state"), 6, *(keys.requests(queue, priority) for priority in PRIORITIES),
        keys.results(queue), keys.dead(queue), keys.counters(queue), keys.GROUP,
    )  # fmt: skip


def parse_state(reply: Any) -> QueueState:
    """Read the reply of state.lua, its strings as bytes."""
    seconds, microseconds, streams, results, dead, totals = reply
    now_ms = int(seconds) * 1000 + int(microseconds) // 1000
    return QueueState(
        backlog={priority: unread for priority, (unread, *_) in zip(PRIORITIES, streams, strict=True)},
        pending=sum(pending for _, pending, _, _ in streams),
        lag_s=max(_age_s(now_ms, unread) for *_, unread in streams),
        oldest_pending_s=max(_age_s(now_ms, pending) for _, _, pending, _ in streams),
        results=results,
        dead=dead,
        totals={name.decode(): int(value) for name, value in zip(totals[::2], totals[1::2], strict=True)},
    )


def _age_s(now_ms: int, entry: bytes) -> float:
    """Return the seconds since Redis took the entry; its id begins with Unix milliseconds."""
    return max(0, now_ms - int(entry.partition(b"-")[0])) / 1000.0 if entry else 0.0

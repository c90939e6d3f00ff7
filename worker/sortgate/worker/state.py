"""The state of a whole queue as Redis has it: backlog, lag, ages and totals over all workers."""

from __future__ import annotations

import time
from typing import Any

import hiredis
import msgspec
from celery.utils.log import get_logger

from sortgate import keys
from sortgate.settings import Settings
from sortgate.streams.scripts import script_sha
from sortgate.types import PRIORITIES
from sortgate.worker.link import LinkLost

logger = get_logger(__name__)

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


class StateWatch:
    """Asks Redis now and then for what it knows of a queue, where metrics are wanted.

    Args:
        queue: its name.
        settings: whether there is a port for metrics, and how old the state may be.

    Attributes:
        state: what Redis said last; None before that.
        heard_at: when it said anything (``time.monotonic``), at first when this was made.
        refused: whether it has refused to say.
    """

    def __init__(self, queue: str, settings: Settings) -> None:
        self.state: QueueState | None = None
        self.heard_at = time.monotonic()
        self.refused = False
        self._queue = queue
        self._pause_s = min(STATE_S, settings.health_limit_s / 4.0) if settings.metrics_port else float("inf")
        self._due_at = 0.0 if settings.metrics_port else float("inf")

    def due(self, now: float) -> bool:
        """Return whether to ask now, and take it that it is done."""
        if now < self._due_at:
            return False
        self._due_at = now + self._pause_s
        return True

    def take(self, reply: Any) -> None:
        """Take the reply.

        Raises:
            LinkLost: Redis has forgotten its scripts, which a new link loads again, or the queue is elsewhere.
        """
        self.heard_at = time.monotonic()
        if not isinstance(reply, hiredis.ReplyError):
            self.state = parse_state(reply)
        elif str(reply).startswith(("NOSCRIPT", "MOVED")):
            raise LinkLost(str(reply))
        elif not self.refused:  # a right that is missing, say: metrics never keep a text from being answered
            self.refused = True
            logger.warning("queue %s: its metrics lack what Redis knows of it: %s", self._queue, reply)


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

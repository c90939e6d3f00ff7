"""Every Redis key, queue name and task name of Sortgate, and nothing else.

All keys of a queue share the hash tag ``{<queue>}``, so they live in one slot of a Redis Cluster.
"""

from __future__ import annotations

import re

from sortgate.errors import ConfigurationError
from sortgate.types import Priority

GROUP = "workers"
COLLECTORS = "collectors"
RELEASED = "released"
CELERY_TASK = "sortgate.classify"

QUEUE_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def check_queue(queue: str) -> str:
    """Return ``queue`` when it is a valid queue name, else raise :class:`ConfigurationError`."""
    if not isinstance(queue, str) or not QUEUE_NAME.fullmatch(queue):
        raise ConfigurationError(
            f"queue name {queue!r}: use 1 to 64 of a-z, 0-9, '.', '_' and '-', starting with a letter or digit"
        )
    return queue


def prefix(queue: str) -> str:
    """Return the common prefix of a queue's keys, ``sortgate:{queue}:``."""
    return f"sortgate:{{{queue}}}:"


def requests(queue: str, priority: Priority = "normal") -> str:
    """Stream that producers add requests to."""
    base = prefix(queue) + "requests"
    return base if priority == "normal" else f"{base}:{priority}"


def results(queue: str) -> str:
    """Stream of results for which no reply stream was asked."""
    return prefix(queue) + "results"


def dead(queue: str) -> str:
    """Stream of copies of requests that failed, for the operator."""
    return prefix(queue) + "dead"


def reply(queue: str, name: str) -> str:
    """Private reply stream of one client."""
    return reply_prefix(queue) + name


def reply_prefix(queue: str) -> str:
    """Start of every key that a request may name as its reply stream."""
    return prefix(queue) + "reply:"


def seen(queue: str) -> str:
    """Sorted set of producer ids answered within the de-duplication window, scored by time."""
    return prefix(queue) + "seen"


def counters(queue: str) -> str:
    """Hash of totals over the queue's whole life (ok, error, dead, suppressed, …)."""
    return prefix(queue) + "counters"


def workers(queue: str) -> str:
    """Hash from consumer name to its last heartbeat, a JSON object."""
    return prefix(queue) + "workers"


def producer(queue: str, name: str) -> str:
    """What a producer's slots are used for: the first text of its window, and how many it has."""
    return f"{prefix(queue)}producer:{name}"


def rate(queue: str) -> str:
    """Hash of what the queue's rate limit still allows; only there while a limit is in use."""
    return prefix(queue) + "rate"


def celery_queue(queue: str) -> str:
    """Celery queue on which ``sortgate.classify`` tasks for this queue travel."""
    return f"sortgate.{queue}"

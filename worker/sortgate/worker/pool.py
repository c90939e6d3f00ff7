"""Mends three habits of Celery's pool.

At level debug it logs what it hands to a process, and so the texts of tasks. The other two cost answers when the event
loop was away, as it is while the broker is: Celery resets its event loop when the broker's link breaks and starts it
again when the link is back. Its pool then

* forgets what it has read of a result that was only half there, and takes the middle of it for the start of another;
* fires the time limits that have passed meanwhile before it reads the results that have come meanwhile, and so kills
  processes that have long been done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from celery.utils.log import get_logger

logger = get_logger(__name__)

#: A loop that has not turned for this long was away.
AWAY_S = 1.0
#: What results that lie in the pipes are given to be read before a time limit counts.
GRACE_S = 1.0


class PoolGuard:
    """Installed once into a prefork pool, before it is registered with the event loop.

    Args:
        pool: Celery's ``TaskPool``.
    """

    def __init__(self, pool: Any) -> None:
        pool._does_debug = False
        self._pool = pool._pool
        self._results = self._pool._result_handler
        self._read: Callable[..., Iterator[None]] = self._results._recv_message
        self._results._recv_message = self._read_result
        self._half_read: dict[int, tuple[Any, Iterator[None]]] = {}
        self._stop_job: Callable[[Any], None] = self._pool.on_hard_timeout
        self._pool.on_hard_timeout = self._on_time_limit
        self._turned_at = time.monotonic()

    def turned(self) -> None:
        """Take note that the event loop turns; called a few times a second."""
        self._turned_at = time.monotonic()

    def resume(self, hub: Any) -> None:
        """Read on where the loop was reset; called once the pool is registered with the loop again."""
        for descriptor, (process, reading) in list(self._half_read.items()):
            if self._results.fileno_to_outq.get(descriptor) is process:
                hub.add_reader(descriptor, self._go_on(descriptor, reading))
            else:  # it has died meanwhile, and its batch fails with it
                del self._half_read[descriptor]

    def _read_result(self, add_reader: Any, descriptor: int, callback: Any) -> Iterator[None]:
        """Stand in for the pool's reader of one result: a generator that yields whenever more is to come."""
        process = self._results.fileno_to_outq.get(descriptor)
        reading = self._read(add_reader, descriptor, callback)
        self._half_read[descriptor] = (process, reading)
        return self._go_on(descriptor, reading)

    def _go_on(self, descriptor: int, reading: Iterator[None]) -> Iterator[None]:
        # Not ``yield from``: when the loop is reset and drops this generator, that would close ``reading`` as well.
        while True:
            try:
                next(reading)
            except StopIteration:
                self._half_read.pop(descriptor, None)
                return
            except BaseException:  # the process is gone
                self._half_read.pop(descriptor, None)
                raise
            yield

    def _on_time_limit(self, job: Any) -> None:
        if time.monotonic() - self._turned_at < AWAY_S or self._results._hub is None:
            self._stop_job(job)
        else:
            self._results._hub.call_later(GRACE_S, self._stop_job, job)  # which leaves a job alone that is done by then

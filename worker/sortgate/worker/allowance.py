"""What a queue's rate limit, shared by all of its workers, lets this one read."""

from __future__ import annotations

import time

from sortgate import keys
from sortgate.streams.scripts import script_sha


class Allowance:
    """Texts that this worker may read before it asks again.

    Asking settles the account: what was granted and not read is given back, and what a read brought beyond it is paid
    for. So all workers together keep the rate, apart from what they may read at once after a pause: a second's worth,
    and what blocking reads bring, at most three texts a worker.

    Args:
        queue: its name.
        rate: texts a second, over all workers.
    """

    def __init__(self, queue: str, rate: float) -> None:
        self._key = keys.rate(queue)
        self._rate = rate
        self._granted = self._read = 0
        self._resume_at = 0.0

    @property
    def spent(self) -> bool:
        """Whether there is nothing to be had yet, as of the last answer."""
        return time.monotonic() < self._resume_at

    def ask(self, wanted: int) -> tuple[str | int, ...]:
        """Return the command that asks for so many texts; its reply is for :meth:`take`."""
        unread, self._granted, self._read = self._granted - self._read, 0, 0
        return ("EVALSHA", script_sha("allow"), 1, self._key, repr(self._rate), wanted, unread)

    def take(self, reply: tuple[int, int]) -> int:
        """Return how many texts Redis has granted."""
        self._granted, wait_ms = reply
        self._resume_at = time.monotonic() + wait_ms / 1000.0
        return self._granted

    def read(self, count: int) -> None:
        """Take note of texts that were read."""
        self._read += count

    def reset(self) -> None:
        """Forget what was granted: the link broke, and nobody knows what Redis has noted."""
        self._granted = self._read = 0
        self._resume_at = 0.0

"""Results of texts submitted by anyone, one by one: the steps behind ``results``.

Collectors compete as one consumer group. An item belongs to the collector that got it until the caller moves on; then
it is deleted and acknowledged, in this order: what is deleted but still pending is tidied up by the next collector,
while the reverse would stay in the stream for ever. Items of a collector that crashed are claimed by another.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections import deque
from typing import Any

from sortgate import keys
from sortgate.client.base import BaseClient, Command, Commands, Sleep, Steps, read_result
from sortgate.errors import BrokerError, ClientError
from sortgate.streams.scripts import load_script

_FETCH = 200
#: An item the caller spent longer on is deleted at once; those of a caller that only skims are deleted together,
#: every ``_FLUSH_S``.
_BUSY_S = 0.0001
_FLUSH_S = 0.02
#: What a collector hands back at its end is at once idle for long enough to be claimed.
_LONG_IDLE_MS = 1_000_000_000


class Collector:
    """One iteration over a queue's results.

    Args:
        client: its queue and settings.
        timeout_s: the iteration ends when no result came for this long; None waits for ever.
        most: the iteration ends after this many results; None for no limit.
        claim_idle_s: an item that another collector has held for this long is taken over.
    """

    def __init__(self, client: BaseClient, *, timeout_s: float | None, most: int | None, claim_idle_s: float) -> None:
        self._client = client
        self._key = keys.results(client.queue)
        self._name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._timeout_s = timeout_s
        self._most = most
        self._claim_idle_s = claim_idle_s
        self._items: deque[tuple[str, list[str] | None]] = deque()
        self._done, client._given = client._given, []  # entries to delete and acknowledge
        self._current: str | None = None
        self._given = 0
        self._flushed_at = self._fetched_at = 0.0
        self._claim_at = 0.0
        self._again = True  # read what this collector has pending already, before anything new
        self._failure: BrokerError | None = None
        self._failures = 0
        self._failing_since = 0.0

    def steps(self) -> Steps[None]:
        """Give results until the time-out or the limit.

        Raises:
            BrokerError: Redis stayed out of reach, or is so at the end of the time given.
        """
        progress = time.monotonic()
        yield from self._attempt([self._create_group()])
        while self._most is None or self._given < self._most:
            now = time.monotonic()
            if self._items and now - self._fetched_at > self._claim_idle_s / 2.0:
                # A slow caller: what is left may soon be claimed by others. Reading it again renews it.
                self._items.clear()
                self._again = True
            if not self._items:
                if self._timeout_s is not None and now - progress >= self._timeout_s:
                    if self._failure is not None and self._flushed_at <= progress:
                        raise self._failure  # out of reach all the time: not the same as empty
                    return
                yield from self._fetch(progress)
                continue
            entry, fields = self._items.popleft()
            if fields is None:  # deleted by hand, or by a collector that crashed before it acknowledged
                self._done.append(entry)
                continue
            self._current = entry
            given_at = time.monotonic()
            yield read_result(entry, fields)
            self._current = None
            self._given += 1
            self._done.append(entry)
            progress = time.monotonic()
            if progress - given_at > _BUSY_S or progress - self._flushed_at > _FLUSH_S:
                yield from self._attempt([])

    def leave(self) -> Steps[None]:
        """Delete what the caller moved on from, hand back the rest, leave the group.

        Raises:
            ClientError: Redis is out of reach; the client's next collector begins with the deletions.
        """
        held = [entry for entry, _ in self._items]
        if self._current is not None:
            held.insert(0, self._current)
        commands: list[Command] = self._deletions()
        if held:
            commands.append(
                ("XCLAIM", self._key, keys.COLLECTORS, keys.RELEASED, 0, *held, "IDLE", _LONG_IDLE_MS, "JUSTID")
            )
        commands.append(("XPENDING", self._key, keys.COLLECTORS, "-", "+", 1, self._name))
        try:
            replies = yield Commands(commands)
        except ClientError:
            self._client._given += self._done
            raise
        if not replies[-1]:  # a consumer's pending items would go with it: only an empty one is deleted
            yield Commands([("XGROUP", "DELCONSUMER", self._key, keys.COLLECTORS, self._name)])

    def _create_group(self) -> Command:
        # by a script that gets through although Redis's memory is full: collecting is what makes room
        return ("EVAL", load_script("group"), 1, self._key, keys.COLLECTORS)

    def _deletions(self) -> list[Command]:
        if not self._done:
            return []
        return [("XDEL", self._key, *self._done), ("XACK", self._key, keys.COLLECTORS, *self._done)]

    def _fetch(self, progress: float) -> Steps[None]:
        """Read more items, first what is pending already."""
        now = time.monotonic()
        if now >= self._claim_at:
            yield from self._claim()
        count = _FETCH if self._most is None else min(_FETCH, self._most - self._given)
        start = "0" if self._again else ">"
        wait = min(2.0, self._client.settings.socket_timeout_s / 2.0, max(0.1, self._claim_at - now))
        if self._timeout_s is not None:
            wait = min(wait, progress + self._timeout_s - now)
        block = () if self._again else ("BLOCK", max(1, round(wait * 1000)))
        reply = yield from self._attempt(
            [("XREADGROUP", "GROUP", keys.COLLECTORS, self._name, "COUNT", count, *block, "STREAMS", self._key, start)]
        )
        if not reply:
            return
        self._fetched_at = time.monotonic()
        for _, entries in reply:
            self._items.extend((entry, fields) for entry, fields in entries)
        if self._again and not self._items:
            self._again = False

    def _claim(self) -> Steps[None]:
        """Take over what collectors that crashed or left hold."""
        idle_ms = round(self._claim_idle_s * 1000)
        self._claim_at = time.monotonic() + self._claim_idle_s / 4.0
        found = yield from self._attempt([("XPENDING", self._key, keys.COLLECTORS, "IDLE", idle_ms, "-", "+", _FETCH)])
        idents = [ident for ident, owner, _, _ in found or () if owner != self._name]
        if idents:
            yield from self._attempt([("XCLAIM", self._key, keys.COLLECTORS, self._name, idle_ms, *idents, "JUSTID")])
            self._again = True

    def _attempt(self, commands: list[Command]) -> Steps[Any]:
        """Send the due deletions, then ``commands``; returns the last reply, or None when it has to be tried again.

        Raises:
            BrokerError: Redis refuses, or has been out of reach for too long.
        """
        deletions = self._deletions()
        try:
            replies = yield Commands([*deletions, *commands])
            for reply in replies:
                if isinstance(reply, Exception) and not str(reply).startswith("NOGROUP"):
                    raise self._client.error_from(reply)
        except BrokerError as error:
            # items of a reply that was lost are pending for this collector, so they are read again
            self._again = True
            self._failure = error
            now = time.monotonic()
            self._failing_since = self._failing_since if self._failures else now
            self._failures += 1
            if not error.retriable or now - self._failing_since >= self._client.reconnect_s:
                raise
            yield Sleep(min(1.0, 0.05 * 2.0**self._failures))
            return None
        self._failures = 0
        self._done.clear()
        self._flushed_at = time.monotonic()
        last = replies[-1] if commands else None
        if isinstance(last, Exception):
            if str(last).startswith("NOGROUP"):  # the stream was deleted or Redis lost its data
                yield Commands([self._create_group()])
            return None
        return last

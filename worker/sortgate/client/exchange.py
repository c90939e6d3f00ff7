"""Texts out, labels back over a private reply stream: the steps behind ``classify`` and ``stream``.

The requests name the reply stream and the workers' commit writes the results to it. enqueue.lua creates it along
with the first requests, since a commit never does: a result for a reply stream that is gone joins the queue's results.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import msgspec

from sortgate import keys
from sortgate.client.base import (
    ATTEMPTS,
    CHUNK_TEXTS,
    BaseClient,
    Commands,
    Envelope,
    Item,
    Pull,
    Sleep,
    Steps,
    measure,
    new_ids,
    read_result,
)
from sortgate.errors import BrokerError, ConfigurationError, QueueFullError, ResultError, ResultTimeoutError
from sortgate.messages import MAX_DEADLINE_S
from sortgate.types import Priority, Result

#: A reply stream nobody touches is deleted after this long; commits and the client renew it.
REPLY_TTL_MS = 3_600_000
_RENEW_S = 600.0
#: The read that travels with a chunk waits no longer, so that a refused chunk is soon tried again.
_FIRST_WAIT_S = 0.1
_POLL_S = 0.02
_READ_COUNT = 2000
_CLASSIFY_WINDOW = 5000


class Exchange:
    """One call of ``stream`` or ``classify``.

    Args:
        client: its queue, settings and commands.
        window: most texts pulled from the source and not yet given to the caller.
        ordered: give results in input order.
        timeout_s: longest time without any result; None waits for ever.
        deadline_s: time for the whole call, also sent as the requests' deadline; None for no limit. Such a call
            gives up on a broken link after a second attempt, and on a full queue at once.
    """

    def __init__(
        self,
        client: BaseClient,
        *,
        window: int,
        ordered: bool,
        timeout_s: float | None = None,
        deadline_s: float | None = None,
        model: str | None = None,
        priority: Priority | None = None,
        explain: bool = False,
    ) -> None:
        if not 1 <= window <= client.settings.reply_limit:
            raise ConfigurationError(
                f"window {window}: use 1 to {client.settings.reply_limit} (the bound of a reply stream)"
            )
        self._client = client
        self._window = window
        self._ordered = ordered
        self._timeout_s = timeout_s
        self._deadline_s = deadline_s
        (ident,) = new_ids(1)
        self._token = ident.partition("-")[0]
        self._reply = keys.reply(client.queue, self._token)
        self._envelope: Envelope = client._envelope(
            priority=priority, reply=self._reply, model=model, deadline_s=deadline_s, explain=explain
        )
        self._backlog: deque[Item] = deque()  # pulled, not yet accepted by the queue
        self._open: set[int] = set()  # positions pulled and not answered
        self._done: dict[int, Result] = {}  # answered, not yet given to the caller
        self._pulled = 0
        self._given = 0
        self._exhausted = False
        self._last_entry = "0-0"
        self._renew_at = time.monotonic() + _RENEW_S

    def steps(self) -> Steps[None]:
        """Pull, send, read and give results until all are given.

        Raises:
            ResultTimeoutError: a result did not come in time.
            BrokerError: Redis stayed out of reach.
            QueueFullError: the queue is full, for a call with a deadline.
        """
        started = progress = time.monotonic()
        failures = 0
        failing_since = 0.0
        refused = False
        while True:
            # What is there is given before anything is pulled: the source may block.
            for result in self._ready():
                yield result
                progress = time.monotonic()
            if self._exhausted and self._given == self._pulled:
                self._client._spent.append(self._reply)
                return
            yield from self._pull()
            if not self._open:
                continue
            remaining = self._remaining(started, progress)
            commands, chunk = self._commands(remaining, refused)
            try:
                replies = yield Commands(commands)
                refused = self._read(replies, chunk)
                failures = 0
            except BrokerError as error:
                # What was sent may or may not have arrived: sending it again is safe, and so is reading again from
                # the same entry.
                failures += 1
                failing_since = time.monotonic() if failures == 1 else failing_since
                patience = time.monotonic() - failing_since < self._client.reconnect_s
                if not error.retriable or (failures >= ATTEMPTS if self._deadline_s is not None else not patience):
                    raise
                if failures > 1:
                    yield Sleep(min(1.0, 0.05 * 2.0**failures))

    def _pull(self) -> Steps[None]:
        if self._backlog or not self._wants_more():
            return
        room = self._window - (self._pulled - self._given)
        texts, self._exhausted = yield Pull(min(room, CHUNK_TEXTS), wait=not self._open)
        for text in texts:
            position = self._pulled
            self._pulled += 1
            size, problem = measure(text, self._client.settings.max_text_bytes)
            ident = f"{self._token}-{position}"
            if problem is None:
                self._open.add(position)
                self._backlog.append(Item(ident, text, None, size))
            else:  # answered here as a worker would
                self._done[position] = Result(ident, "rejected", code=problem[0], message=problem[1], index=position)

    def _ready(self) -> list[Result]:
        """Take the results that may be given now."""
        if not self._ordered:
            found = list(self._done.values())
            self._done.clear()
        else:
            found = []
            while (result := self._done.pop(self._given + len(found), None)) is not None:
                found.append(result)
        # counted before they are given: a caller that stops early takes no more
        self._given += len(found)
        return found

    def _remaining(self, started: float, progress: float) -> float:
        """Return the seconds left.

        Raises:
            ResultTimeoutError: none are.
        """
        now = time.monotonic()
        left = [float("inf")]
        if self._deadline_s is not None:
            left.append(started + self._deadline_s - now)
        if self._timeout_s is not None:
            left.append(progress + self._timeout_s - now)
        if min(left) > 0:
            return min(left)
        limit = self._deadline_s if self._deadline_s is not None else self._timeout_s
        raise ResultTimeoutError(
            f"no result for {len(self._open):,} of {self._pulled:,} texts within {limit:g} s; "
            f"is a worker serving queue {self._client.queue!r}?"
        )

    def _commands(self, remaining: float, refused: bool) -> tuple[list[tuple[Any, ...]], list[Item]]:
        """Return the next commands, all in one round trip, and the requests among them."""
        commands: list[tuple[Any, ...]] = []
        spent = self._client._spent
        gone = [spent.popleft() for _ in range(len(spent))]
        if gone:
            commands.append(("UNLINK", *gone))
        if (now := time.monotonic()) >= self._renew_at:
            commands.append(("PEXPIRE", self._reply, REPLY_TTL_MS))
            self._renew_at = now + _RENEW_S
        if self._last_entry != "0-0":
            milliseconds, _, number = self._last_entry.partition("-")
            commands.append(("XTRIM", self._reply, "MINID", f"{milliseconds}-{int(number) + 1}"))
        # after a broken attempt, some of the backlog may have arrived and been answered
        self._backlog = deque(item for item in self._backlog if _position(item.id) in self._open)
        chunk: list[Item] = next(self._client._chunks(list(self._backlog)), [])
        if chunk:
            commands.append(self._client._enqueue_command(self._envelope, chunk, self._reply))
        wait = self._wait_s(chunk, refused, remaining)
        block = ("BLOCK", max(1, round(wait * 1000))) if wait else ()
        commands.append(("XREAD", "COUNT", _READ_COUNT, *block, "STREAMS", self._reply, self._last_entry))
        return commands, chunk

    def _wait_s(self, chunk: list[Item], refused: bool, remaining: float) -> float:
        """Return how long to wait for a result: 0 while more texts can be sent at once."""
        longest = min(2.0, self._client.settings.socket_timeout_s / 2.0, remaining)
        more = len(chunk) < len(self._backlog) or self._wants_more()
        if chunk:
            return 0.0 if more and not refused else min(_FIRST_WAIT_S, longest)
        return min(_POLL_S, longest) if more else longest  # an asynchronous source has nothing just now

    def _wants_more(self) -> bool:
        """Whether to pull. Room is taken up in larger pieces: a chunk of one text costs as much as one of fifty."""
        room = self._window - (self._pulled - self._given)
        return not self._exhausted and room >= min(self._window, max(1, self._window // 8))

    def _read(self, replies: list[Any], chunk: list[Item]) -> bool:
        """Take in the replies; returns whether the chunk was refused because the queue is full."""
        refused = False
        if chunk:
            try:
                self._client._read_enqueue(replies[-2])
            except QueueFullError:
                if self._deadline_s is not None:
                    raise
                refused = True
            else:
                for _ in chunk:
                    self._backlog.popleft()
        if isinstance(replies[-1], Exception):
            raise self._client.error_from(replies[-1])
        for _, entries in replies[-1] or ():
            for entry, fields in entries:
                self._last_entry = entry
                self._answered(read_result(entry, fields))
        return refused

    def _answered(self, result: Result) -> None:
        token = result.id.rpartition("-")[0]
        position = _position(result.id)
        # a second answer, possible when de-duplication is turned off, is dropped here
        if token == self._token and position in self._open:
            self._open.discard(position)
            self._done[position] = msgspec.structs.replace(result, index=position)


def _position(ident: str) -> int:
    digits = ident.rpartition("-")[2]
    return int(digits) if digits.isdecimal() else -1


def classify_exchange(
    client: BaseClient, number: int, timeout_s: float, model: str | None, priority: Priority | None, explain: bool
) -> Exchange:
    """Return the exchange behind ``classify``: in order, and all of it within the time given."""
    if not 0 < timeout_s <= MAX_DEADLINE_S:
        raise ConfigurationError(f"timeout {timeout_s!r}: use more than 0 and at most {MAX_DEADLINE_S:,} seconds")
    # one more than there are texts, so that the first pull finds the end of them
    window = min(number + 1, _CLASSIFY_WINDOW, client.settings.reply_limit)
    return Exchange(
        client, window=window, ordered=True, deadline_s=timeout_s, model=model, priority=priority, explain=explain
    )


def classified(results: list[Result], raise_errors: bool) -> list[Result]:
    """Return ``results``.

    Raises:
        ResultError: one of them is not ``ok`` and ``raise_errors`` is set.
    """
    for result in results:
        if raise_errors and result.status != "ok":
            where = f"text {result.index}: " if len(results) > 1 else ""
            raise ResultError(result.status, result.code or "unknown", where + (result.message or "no reason given"))
    return results

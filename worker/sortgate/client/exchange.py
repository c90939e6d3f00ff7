"""Texts out, labels back over a private reply stream: the steps behind ``classify`` and ``stream``.

The requests name the reply stream, the workers' commit writes the results to it. It is created before the first
request, since a commit never creates one: a result for a reply stream that is gone goes to the queue's results.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import msgspec

from sortgate import keys
from sortgate.client.base import ATTEMPTS, BaseClient, Commands, Envelope, Item, Pull, Sleep, Steps, measure, new_ids
from sortgate.client.collect import read_result
from sortgate.errors import BrokerError, ConfigurationError, QueueFullError, ResultTimeoutError
from sortgate.types import Priority, Result

#: A reply stream nobody touches is deleted after this long; commits and the client renew it.
REPLY_TTL_MS = 3_600_000
#: The read that travels with a chunk waits no longer, so that a refused chunk is soon tried again.
_FIRST_WAIT_S = 0.1
_POLL_S = 0.02
_READ_COUNT = 2000


class Exchange:
    """One call of ``stream`` or ``classify``.

    Args:
        client: its queue, settings and commands.
        window: most texts pulled from the source and not yet given to the caller.
        ordered: give results in input order.
        timeout_s: longest time without any result; None waits for ever.
        deadline_s: time for the whole call, also sent as the requests' deadline; None for no limit. A call with a
            deadline gives up on a broken link after a second attempt and on a full queue at once.
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
            priority=priority, reply=self._reply, model=model, deadline_s=deadline_s
        )
        self._backlog: deque[Item] = deque()  # pulled, not yet accepted by the queue
        self._waiting: set[int] = set()  # positions sent and not answered
        self._done: dict[int, Result] = {}  # answered, not yet given to the caller
        self._pulled = 0
        self._given = 0
        self._exhausted = False
        self._last_entry = "0-0"
        self._renew_at = 0.0

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
            yield from self._pull()
            progressed = False
            for result in self._ready():
                yield result
                progressed = True
            if progressed:
                progress = time.monotonic()
            if self._exhausted and self._given == self._pulled:
                self._client._spent.append(self._reply)
                return
            remaining = self._remaining(started, progress)
            commands, chunk = self._commands(remaining, refused)
            try:
                replies = yield Commands(commands)
                refused = self._read(replies, chunk)
                failures = 0
            except BrokerError as error:
                # What was sent may or may not have arrived. Sending it again is safe, and so is reading again from
                # the same entry; the reply stream may be gone with a restarted Redis, so it is created again.
                failures += 1
                failing_since = time.monotonic() if failures == 1 else failing_since
                patience = time.monotonic() - failing_since < self._client.reconnect_s
                if not error.retriable or (failures >= ATTEMPTS if self._deadline_s is not None else not patience):
                    raise
                self._renew_at = 0.0
                if failures > 1:
                    yield Sleep(min(1.0, 0.05 * 2.0**failures))

    def _pull(self) -> Steps[None]:
        room = self._window - (self._pulled - self._given)
        # Room is taken up in larger pieces: a request for a single text costs Redis as much as one for fifty.
        if self._exhausted or self._backlog or room < min(self._window, max(1, self._window // 8)):
            return
        texts, self._exhausted = yield Pull(min(room, 500), wait=not self._waiting)
        for text in texts:
            position = self._pulled
            self._pulled += 1
            size, problem = measure(text, self._client.settings.max_text_bytes)
            ident = f"{self._token}-{position}"
            if problem is None:
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
        missing = len(self._waiting) + len(self._backlog)
        limit = self._deadline_s if self._deadline_s is not None else self._timeout_s
        raise ResultTimeoutError(
            f"no result for {missing:,} of {self._pulled:,} texts within {limit:g} s; "
            f"is a worker serving queue {self._client.queue!r}?"
        )

    def _commands(self, remaining: float, refused: bool) -> tuple[list[tuple[Any, ...]], list[Item]]:
        """Return the next commands, all in one round trip, and the requests among them."""
        commands: list[tuple[Any, ...]] = []
        now = time.monotonic()
        if now >= self._renew_at:
            spent = self._client._spent
            gone = [spent.popleft() for _ in range(len(spent))]
            if gone:
                commands.append(("UNLINK", *gone))
            # the only command that makes an empty stream; that the group exists already is no error here
            commands.append(("XGROUP", "CREATE", self._reply, "client", "0", "MKSTREAM"))
            commands.append(("PEXPIRE", self._reply, REPLY_TTL_MS))
            self._renew_at = now + REPLY_TTL_MS / 1000.0 / 6.0
        if self._last_entry != "0-0":
            milliseconds, _, number = self._last_entry.partition("-")
            commands.append(("XTRIM", self._reply, "MINID", f"{milliseconds}-{int(number) + 1}"))
        chunk: list[Item] = next(self._client._chunks(list(self._backlog)), [])
        if chunk:
            commands.append(self._client._enqueue_command(self._envelope, chunk))
        wait = self._wait_s(bool(chunk), refused, remaining)
        block = ("BLOCK", max(1, round(wait * 1000))) if wait else ()
        commands.append(("XREAD", "COUNT", _READ_COUNT, *block, "STREAMS", self._reply, self._last_entry))
        return commands, chunk

    def _wait_s(self, sending: bool, refused: bool, remaining: float) -> float:
        """Return how long to wait for a result: 0 while more texts can be sent at once."""
        longest = min(2.0, self._client.settings.socket_timeout_s / 2.0, remaining)
        full = self._pulled - self._given >= self._window
        more = len(self._backlog) > 500
        if sending:
            return 0.0 if more or not (refused or full or self._exhausted) else min(_FIRST_WAIT_S, longest)
        if self._exhausted or full or self._window - (self._pulled - self._given) < self._window // 8:
            return longest
        return min(_POLL_S, longest)  # an asynchronous source has nothing just now

    def _read(self, replies: list[Any], chunk: list[Item]) -> bool:
        """Take in the replies; returns whether the chunk was refused because the queue is full."""
        refused = False
        for name, reply in zip(("XREAD", "EVAL") if chunk else ("XREAD",), reversed(replies), strict=False):
            if name == "EVAL":
                try:
                    self._client._read_enqueue(reply)
                except QueueFullError:
                    if self._deadline_s is not None:
                        raise
                    refused = True
                else:
                    for item in chunk:
                        self._backlog.popleft()
                        self._waiting.add(int(item.id.rpartition("-")[2]))
            elif isinstance(reply, Exception):
                raise self._client.error_from(reply)
        if replies and replies[-1]:
            ((_, entries),) = replies[-1]
            for entry, fields in entries:
                self._last_entry = entry
                self._answered(read_result(entry, fields))
        return refused

    def _answered(self, result: Result) -> None:
        token, _, position = result.id.rpartition("-")
        # a second answer, possible when de-duplication is turned off, is dropped here
        if token == self._token and position.isdecimal() and int(position) in self._waiting:
            self._waiting.discard(int(position))
            self._done[int(position)] = msgspec.structs.replace(result, index=int(position))

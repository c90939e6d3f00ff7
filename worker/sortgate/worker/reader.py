"""Reads one queue's requests: urgent ones first, as many as there is room for, waiting in Redis when there are none."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import hiredis
from celery.utils.log import get_logger

from sortgate import keys
from sortgate.settings import Settings
from sortgate.streams.scripts import script_sha
from sortgate.types import PRIORITIES
from sortgate.worker.allowance import Allowance
from sortgate.worker.entries import Entry
from sortgate.worker.figures import QueueFigures
from sortgate.worker.hand import Hand
from sortgate.worker.link import Command, Link, LinkLost, OnReply, raise_error
from sortgate.worker.shares import Turns, shares

logger = get_logger(__name__)

#: How long an idle worker's read blocks in Redis; a link that is silent for longer than this + the time-out is dead.
BLOCK_MS = 2000


class Reader:
    """Keeps at most one read on its way.

    Args:
        queue: its name.
        consumer: this worker's name in the group.
        settings: bound of the result stream, and rate limits.
        link: used for reading alone, since it blocks.
        hand: takes the entries.
        figures: what is counted.
        on_entries: called when entries are waiting for a pool process.
        on_time: given Redis's ``TIME``, with every read.
        on_whole: called when a whole read has succeeded.
        pause_s: gives the seconds for which there is no hurry to read on.

    Attributes:
        reading: a read is on its way.
        results_full: the result stream is full, which pauses reading.
        stopped: no read begins any more.
        held: no read begins for the time being.
    """

    def __init__(
        self,
        queue: str,
        consumer: str,
        settings: Settings,
        link: Link,
        hand: Hand,
        figures: QueueFigures,
        *,
        on_entries: Callable[[], None],
        on_time: Callable[[Any], None],
        on_whole: Callable[[], None],
        pause_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.reading = self.results_full = self.stopped = self.held = False
        self._queue = queue
        self._consumer = consumer
        self._results_limit = settings.results_limit
        rate = settings.rates.get(queue)
        self._allowance = Allowance(queue, rate) if rate else None
        self._turns = Turns()
        self._link = link
        self._hand = hand
        self._figures = figures
        self._on_entries, self._on_time, self._on_whole = on_entries, on_time, on_whole
        self._pause_s = pause_s
        self._pause: Any = None
        self._began = self._took_s = 0.0
        self._streams = [keys.requests(queue, priority) for priority in PRIORITIES]
        self.reset()

    def reset(self) -> None:
        """Begin anew, after the link was lost."""
        self.reading = False
        #: which streams had texts at the last read
        self._busy = [True] * len(self._streams)
        if self._allowance is not None:
            self._allowance.reset()

    @property
    def limited(self) -> bool:
        """Whether nothing is read because the queue's rate limit allows no more at the moment."""
        return self._allowance is not None and self._allowance.spent

    def read(self) -> None:
        """Ask for more unless a read is on its way; once a quarter of the capacity is free, so that reads stay large.

        Half would be late: the processes' batches are as much, and where a smaller one is left over, as a first read
        often leaves it, a process would wait for the next read in every round.

        One command a stream, sent together: a single one over all three would not prioritise, and a script's reply
        costs Redis twice as much.

        Raises:
            LinkLost: the link is gone.
        """
        room = self._hand.room
        if self.reading or self.stopped or self.held or room * 4 < self._hand.capacity or not self._link.connected:
            return
        if self._allowance is None or self.results_full:
            self._read(room)
        elif not self._allowance.spent:
            self._ask(self._allowance, room, self._read)

    def _ask(self, allowance: Allowance, wanted: int, go_on: Callable[[int], None]) -> None:
        """Go on with as many texts as the rate limit allows; not at all when that is none: the next tick asks again."""

        def take(reply: Any) -> None:
            raise_error(reply)
            self.reading = False
            if (granted := allowance.take(reply)) and not (self.stopped or self.held):
                go_on(granted)

        self.reading = True
        self._link.send(take, *allowance.ask(wanted))

    def _read(self, room: int) -> None:
        self.reading = True
        self._began = time.monotonic()
        commands: list[tuple[OnReply, Command]] = [(self._take_time, ("TIME",))]
        if not self.results_full:
            counts = shares(room, self._busy) if self._allowance is None else self._turns.take(room, self._busy)
            for number, (stream, count) in enumerate(zip(self._streams, counts, strict=True), 1):
                if not count:  # its turn comes; 0 would mean all that there is
                    continue
                self._busy[number - 1] = False
                read = ("XREADGROUP", "GROUP", keys.GROUP, self._consumer, "COUNT", count, "STREAMS", stream, ">")
                commands.append((partial(self._take_entries, number), read))
        commands.append((self._end, ("XLEN", keys.results(self._queue))))
        self._link.send_all(commands)

    def _take_time(self, reply: Any) -> None:
        raise_error(reply)
        self._on_time(reply)

    def _take_entries(self, number: int, reply: Any) -> None:
        if isinstance(reply, hiredis.ReplyError) and str(reply).startswith("NOGROUP"):
            stream = self._streams[number - 1]
            self._link.send(raise_error, "EVALSHA", script_sha("group"), 1, stream, keys.GROUP)
            return
        raise_error(reply)
        before = len(self._hand)
        for _, entries in reply or ():
            self._busy[number - 1] = True
            if self._allowance is not None:
                self._allowance.read(len(entries))
            for entry, fields in entries:
                self._hand.add(Entry(number, entry.decode(), fields or []))
        self._figures.counts["accepted"] += len(self._hand) - before

    def _end(self, results: Any) -> None:
        """Take note of the result stream's length, which ends a read."""
        self.reading = False
        self._took_s = time.monotonic() - self._began
        raise_error(results)
        self._on_whole()
        was_full, self.results_full = self.results_full, results >= self._results_limit
        if was_full != self.results_full:
            state = "full, reading is paused" if self.results_full else "no longer full, reading goes on"
            logger.warning("queue %s: the result stream is %s", self._queue, state)
        if any(self._busy) and not was_full:
            self._on_entries()
        if self.results_full:
            return  # the next tick asks again
        if any(self._busy) or was_full:
            self._read_on()
        elif self.stopped or self.held:
            return
        elif self._allowance is not None:
            # what is kept while there is nothing to read, the queue's other workers cannot have
            self._ask(self._allowance, 1, self._wait_for_work)
        else:
            self._wait_for_work(self._hand.room)

    def _wait_for_work(self, room: int) -> None:
        """Block in Redis on all three streams: whichever gets a text first wakes an idle worker at once."""
        if self._hand.room < len(self._streams):
            return  # a sweep has filled the hand meanwhile; the next commit reads again
        room = max(1, room // len(self._streams))  # the count is for each stream
        self.reading = True
        self._link.send(
            self._wake, "XREADGROUP", "GROUP", keys.GROUP, self._consumer, "COUNT", room, "BLOCK", BLOCK_MS,
            "STREAMS", *self._streams, ">", ">", ">", patience_s=BLOCK_MS / 1000.0,
        )  # fmt: skip

    def _wake(self, reply: Any) -> None:
        self.reading = False
        if isinstance(reply, hiredis.ReplyError):
            if not str(reply).startswith(("NOGROUP", "UNBLOCKED")):
                raise LinkLost(str(reply))
            reply = None  # the group went with its stream: the next read creates it again
        for stream, entries in reply or ():
            self._take_entries(self._streams.index(stream.decode()) + 1, [(stream, entries)])
        if reply:
            self._on_entries()
        self._read_on()

    def _read_on(self) -> None:
        """Read on at once where a process waits for texts; else after a pause, so that a read has more to bring.

        Texts that trickle in while all processes are busy would each cost a read of their own, and with it a good part
        of the cores that the processes want. What a read takes is taken off the pause.
        """
        pause = self._pause_s() - self._took_s
        if pause <= 0.0:
            self.read()
            return
        if self._pause is not None:  # superseded ones would stay with the event loop, which calls ten at a time
            self._pause.cancel()
        self._pause = self._link.later(pause, self.read)

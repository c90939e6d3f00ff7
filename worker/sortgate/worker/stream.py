"""Reads one queue's streams, keeps its leases, commits its answers, and heals its link to Redis.

Everything here runs in the worker's main process, in the event loop's thread. Nothing is taken off the table of
entries in hand before Redis has confirmed the commit of its answer, so a broken link only repeats work.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import hiredis
import msgspec
from celery.utils.log import get_logger

from sortgate import keys
from sortgate.errors import BrokerError
from sortgate.settings import Settings
from sortgate.streams.scripts import load_script, script_sha
from sortgate.types import PRIORITIES
from sortgate.worker.answer import Answer, dead_answer, pack_answers
from sortgate.worker.entries import Batch, Entry, EntryKey, batch_bound, pack_keys
from sortgate.worker.link import Link, LinkLost

logger = get_logger(__name__)

_SCRIPTS = ("read", "commit", "claim", "recover", "renew", "release")
#: How long an idle worker's read blocks in Redis; a link that is silent for longer than this + the time-out is dead.
BLOCK_MS = 2000
REPLY_TTL_MS = 3_600_000
DEAD_LIMIT = 100_000
DEAD_AGE_MS = 7 * 24 * 3_600_000
#: Consumers of workers that vanished are deleted once they have been empty and idle for this long.
IDLE_CONSUMER_MS = 3_600_000
FINISH_ATTEMPTS = 3
RECONNECT_S = (0.0, 0.1, 0.25, 0.5, 1.0)


class QueueConsumer:
    """The worker's side of one queue.

    Args:
        queue: its name.
        settings: bounds, leases and time-outs.
        capacity: most entries in hand.
        on_entries: called when entries are waiting for a pool process.
    """

    def __init__(self, queue: str, settings: Settings, capacity: int, on_entries: Callable[[], None]) -> None:
        self.queue = queue
        self.consumer = f"{socket.gethostname()}-{os.getpid()}-{os.urandom(3).hex()}"
        self._settings = settings
        self._capacity = capacity
        self._on_entries = on_entries
        self._streams = [keys.requests(queue, priority) for priority in PRIORITIES]
        self._reads = Link(settings, f"sortgate-{queue}-read")
        self._commands = Link(settings, f"sortgate-{queue}")
        self._hub: Any = None
        self._table: dict[EntryKey, Entry] = {}
        self._waiting: deque[Entry] = deque()
        self._uncommitted: dict[int, tuple[bytes, list[Entry]]] = {}
        self._next_commit = 0
        self._reading = False
        self._stopping = False
        self._results_full = False
        self._attempts = 0
        self._connect_at = 0.0
        self._renew_at = self._sweep_at = 0.0
        self._clock_offset_ms = 0.0
        self.done = 0

    # -- event loop -------------------------------------------------------------------------------------------------

    def attach(self, hub: Any) -> None:
        """Register with the event loop; called again after every restart of Celery's consumer."""
        self._hub = hub
        for link in (self._reads, self._commands):
            if link.connected:
                hub.add_reader(link.fileno(), self._on_readable, link)
        self.tick()

    def detach(self) -> None:
        """Leave the event loop; links stay open and the answers of running batches are still committed."""
        for link in (self._reads, self._commands):
            if self._hub is not None and link.connected:
                self._hub.remove(link.fileno())
        self._hub = None

    def tick(self) -> None:
        """Do what is due: reconnect, renew leases, sweep, notice a silent peer. Called a few times a second."""
        now = time.monotonic()
        if not self._commands.connected:
            if now >= self._connect_at:
                self._connect()
            return
        try:
            self._reads.check()
            self._commands.check()
            if now >= self._renew_at:
                self._renew_at = now + self._settings.lease_s / 3.0
                self._renew()
            if now >= self._sweep_at and not self._stopping:
                self._sweep_at = now + self._settings.sweep_s
                self._sweep()
            self._read()
        except LinkLost as error:
            self._lost(error)

    def _on_readable(self, link: Link) -> None:
        try:
            link.receive()
        except LinkLost as error:
            self._lost(error)

    # -- link -------------------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        try:
            for link in (self._commands, self._reads):
                link.connect()
                for name in _SCRIPTS:
                    link.call("SCRIPT", "LOAD", load_script(name))
            seconds, microseconds = self._commands.call("TIME")
            self._set_clock(int(seconds) * 1000.0 + int(microseconds) / 1000.0)
            found = self._commands.call(
                *self._script("recover", 3), *self._streams, keys.GROUP, self.consumer,
                pack_keys(list(self._table.values())), self._capacity + 1000,
            )  # fmt: skip
            self._accept(found, counted=True)
            for number in self._uncommitted:
                self._send_commit(number)
        except (BrokerError, LinkLost) as error:
            self._lost(error)
            return
        if self._hub is not None:
            for link in (self._reads, self._commands):
                self._hub.add_reader(link.fileno(), self._on_readable, link)
        self._on_entries()
        self._renew_at = self._sweep_at = 0.0

    def _lost(self, error: Exception) -> None:
        for link in (self._reads, self._commands):
            if link.connected:
                if self._hub is not None:
                    self._hub.remove(link.fileno())
                link.close()
        self._reading = False
        pause = RECONNECT_S[min(self._attempts, len(RECONNECT_S) - 1)]
        if self._attempts == 0:
            logger.warning("queue %s: link to Redis lost (%s), reconnecting", self.queue, error)
        self._attempts += 1
        self._connect_at = time.monotonic() + pause

    def _healthy(self) -> None:
        """A script has succeeded: only that ends the pauses between attempts."""
        if self._attempts:
            logger.warning("queue %s: link to Redis is back", self.queue)
        self._attempts = 0

    def _script(self, name: str, number_of_keys: int) -> tuple[str, str, int]:
        return ("EVALSHA", script_sha(name), number_of_keys)

    # -- reading ----------------------------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Entries that no pool process has yet."""
        return len(self._waiting)

    @property
    def in_hand(self) -> int:
        """Entries read and not yet confirmed as answered."""
        return len(self._table)

    def _read(self) -> None:
        """Ask for more unless a read is on its way; at half of the capacity, so that reads stay large."""
        room = self._capacity - len(self._table)
        if self._reading or self._stopping or room * 2 < self._capacity or not self._reads.connected:
            return
        self._reading = True
        self._reads.send(
            self._on_read, *self._script("read", 4), *self._streams, keys.results(self.queue),
            keys.GROUP, self.consumer, room, self._settings.results_limit,
        )  # fmt: skip

    def _on_read(self, reply: Any) -> None:
        self._reading = False
        if isinstance(reply, hiredis.ReplyError):
            raise LinkLost(str(reply))
        self._healthy()
        now_ms, full, found = reply
        self._set_clock(now_ms)
        if bool(full) != self._results_full:
            self._results_full = bool(full)
            state = "full, reading is paused" if full else "no longer full, reading goes on"
            logger.warning("queue %s: the result stream is %s", self.queue, state)
        if full:
            return  # the next tick asks again
        if found:
            for number, entries in found:
                for entry, fields in entries:
                    self._add(Entry(number, entry.decode(), fields or []))
            self._on_entries()
            self._read()
        elif not self._stopping:
            self._wait_for_work()

    def _wait_for_work(self) -> None:
        """Block in Redis on all three streams: whichever gets a text first wakes an idle worker at once."""
        room = (self._capacity - len(self._table)) // len(self._streams)  # the count is for each stream
        if room <= 0:
            return  # a sweep has filled the table meanwhile; the next commit reads again
        self._reading = True
        self._reads.send(
            self._on_woken, "XREADGROUP", "GROUP", keys.GROUP, self.consumer, "COUNT", room, "BLOCK", BLOCK_MS,
            "STREAMS", *self._streams, ">", ">", ">", patience_s=BLOCK_MS / 1000.0,
        )  # fmt: skip

    def _on_woken(self, reply: Any) -> None:
        self._reading = False
        if isinstance(reply, hiredis.ReplyError):
            if not str(reply).startswith(("NOGROUP", "UNBLOCKED")):
                raise LinkLost(str(reply))
            reply = None  # the group went with its stream: read.lua creates it again
        for stream, entries in reply or ():
            number = self._streams.index(stream.decode()) + 1
            for entry, fields in entries:
                self._add(Entry(number, entry.decode(), fields or []))
        if reply:
            self._on_entries()
        self._read()

    def _add(self, entry: Entry) -> None:
        if entry.key not in self._table:
            self._table[entry.key] = entry
            self._waiting.append(entry)

    def _accept(self, found: list[tuple[int, bytes, int, list[bytes]]], *, counted: bool) -> None:
        """Take in entries that were delivered before; those that have exhausted their deliveries are answered."""
        exhausted = []
        for number, name, deliveries, fields in found:
            entry = Entry(number, name.decode(), fields, deliveries, failures=deliveries - 1)
            if entry.key in self._table:
                continue
            if deliveries > self._settings.max_deliveries and not counted:
                self._table[entry.key] = entry
                exhausted.append(entry)
            else:
                self._add(entry)
        if exhausted:
            limit = self._settings.max_deliveries
            self._bury(exhausted, "deliveries_exhausted", f"delivered {limit} times and never answered")

    # -- leases -----------------------------------------------------------------------------------------------------

    def _renew(self) -> None:
        beat = {
            "host": socket.gethostname(), "pid": os.getpid(), "in_flight": len(self._table), "done": self.done,
            "at_ms": round(self.now_ms()),
        }  # fmt: skip
        self._commands.send(
            self._raise_error, *self._script("renew", 4), *self._streams, keys.workers(self.queue),
            keys.GROUP, self.consumer, pack_keys(list(self._table.values())), json.dumps(beat),
        )  # fmt: skip

    def _sweep(self) -> None:
        room = self._capacity - len(self._table)
        if room <= 0:
            return
        self._commands.send(
            self._on_swept, *self._script("claim", 5), *self._streams, keys.counters(self.queue),
            keys.workers(self.queue), keys.GROUP, self.consumer, round(self._settings.lease_s * 1000), room,
            IDLE_CONSUMER_MS,
        )  # fmt: skip

    def _on_swept(self, reply: Any) -> None:
        self._raise_error(reply)
        if reply:
            logger.info("queue %s: took over %d texts whose lease had run out", self.queue, len(reply))
            self._accept(reply, counted=False)
            self._on_entries()

    def _raise_error(self, reply: Any) -> None:
        if isinstance(reply, hiredis.ReplyError):
            raise LinkLost(str(reply))

    def _set_clock(self, now_ms: float) -> None:
        self._clock_offset_ms = now_ms - time.monotonic() * 1000.0

    # -- batches ----------------------------------------------------------------------------------------------------

    def now_ms(self) -> float:
        """Return Unix milliseconds by Redis's clock, as of its last reply; this machine's clock is never used."""
        return time.monotonic() * 1000.0 + self._clock_offset_ms

    def take(self, share: int) -> Batch | None:
        """Return the next batch, oldest entries first, or None when nothing waits.

        Args:
            share: most entries; entries that failed before get smaller batches, by themselves in the end.
        """
        entries: list[Entry] = []
        bound = share
        failures = self._waiting[0].failures if self._waiting else 0
        while self._waiting and len(entries) < bound and self._waiting[0].failures == failures:
            entry = self._waiting.popleft()
            bound = min(bound, batch_bound(entry.failures, self._settings.batch_texts))
            entries.append(entry)
        return Batch(self.queue, entries) if entries else None

    def put_back(self, batch: Batch) -> None:
        """Return a batch that no process started on; it counts as no failure."""
        self._waiting.extendleft(reversed(batch.entries))

    def failed(self, batch: Batch, code: str, message: str) -> None:
        """Take note that a process was lost with this batch: its texts are tried again in smaller batches."""
        exhausted = []
        for entry in batch.entries:
            entry.failures += 1
            if entry.failures >= self._settings.max_deliveries:
                exhausted.append(entry)
            else:
                self._waiting.append(entry)
        if exhausted:
            self._bury(exhausted, code, message)

    def _bury(self, entries: list[Entry], code: str, message: str) -> None:
        limit = self._settings.max_text_bytes
        answers: list[Answer] = [
            dead_answer(e.stream, e.entry, e.fields, self.queue, code, message, limit) for e in entries
        ]
        self.commit(pack_answers(answers), entries)

    # -- commits ----------------------------------------------------------------------------------------------------

    def commit(self, answers: bytes, entries: list[Entry]) -> None:
        """Write the answers to ``entries``; kept and repeated until Redis confirms."""
        number = self._next_commit
        self._next_commit += 1
        self._uncommitted[number] = (answers, entries)
        if self._commands.connected:
            try:
                self._send_commit(number)
            except LinkLost as error:
                self._lost(error)

    def _send_commit(self, number: int) -> None:
        settings = self._settings
        queue = self.queue

        def on_reply(reply: Any) -> None:
            self._raise_error(reply)
            _, entries = self._uncommitted.pop(number)
            for entry in entries:
                self._table.pop(entry.key, None)
            self.done += int(reply[0])
            self._read()

        self._commands.send(
            on_reply, *self._script("commit", 7), *self._streams, keys.results(queue), keys.dead(queue),
            keys.seen(queue), keys.counters(queue), keys.GROUP, round(settings.dedupe_window_s * 1000),
            settings.dedupe_limit, settings.reply_limit, REPLY_TTL_MS, DEAD_LIMIT, DEAD_AGE_MS,
            self._uncommitted[number][0],
        )  # fmt: skip

    # -- stopping ---------------------------------------------------------------------------------------------------

    def stop_reading(self) -> None:
        """Read no more and hand back what no process has started on; answers of running batches still go out.

        The reading link is closed: a read that Redis has answered meanwhile is found by :meth:`finish`.
        """
        self._stopping = True
        if self._commands.connected:
            try:
                self._renew()  # the last time: batches in hand have a whole lease to finish
            except LinkLost as error:
                self._lost(error)
        if self._reads.connected:
            if self._hub is not None:
                self._hub.remove(self._reads.fileno())
            self._reads.close()
        handed, self._waiting = list(self._waiting), deque()
        self._release(handed, leave=False)

    def finish(self) -> None:
        """Commit what is left, hand back the rest and leave the group; the last thing a worker does."""
        for _ in range(FINISH_ATTEMPTS):
            if self._finish():
                break
        else:
            logger.warning("queue %s: Redis is out of reach; the leases of its texts will run out", self.queue)
        self._reads.close()
        self._commands.close()

    def _finish(self) -> bool:
        if not self._commands.connected:
            self._connect()  # sends unconfirmed commits again
        try:
            if self._commands.connected:
                # replies owed come first on the link, so after this call every commit sent is confirmed
                found = self._commands.call(
                    *self._script("recover", 3), *self._streams, keys.GROUP, self.consumer, pack_keys([]), 100_000
                )
                rest = [Entry(n, name.decode(), [], deliveries, deliveries - 1) for n, name, deliveries, _ in found]
                for entry in rest:
                    if known := self._table.get(entry.key):
                        entry.failures = known.failures
                return self._release(rest, leave=True)
        except (LinkLost, BrokerError) as error:
            self._lost(error)
        time.sleep(RECONNECT_S[-1])
        return False

    def _release(self, entries: list[Entry], *, leave: bool) -> bool:
        for entry in entries:
            self._table.pop(entry.key, None)
        if not self._commands.connected:
            return False
        packed = msgspec.msgpack.encode([(e.stream, e.entry, e.failures) for e in entries])
        try:
            handed = self._commands.call(
                *self._script("release", 4), *self._streams, keys.workers(self.queue),
                keys.GROUP, self.consumer, keys.RELEASED, int(leave), packed,
            )  # fmt: skip
        except (LinkLost, BrokerError) as error:
            self._lost(error)
            return False
        if handed:
            logger.info("queue %s: handed back %d texts", self.queue, handed)
        return True

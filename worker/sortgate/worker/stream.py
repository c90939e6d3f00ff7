"""Reads one queue's streams, keeps its leases, commits its answers, and heals its links to Redis.

Everything here runs in the worker's main process, in the event loop's thread. Nothing is taken off the table of
entries in hand before Redis has confirmed the commit of its answer, so a broken link only repeats work.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import hiredis
import msgspec
from celery.utils.log import get_logger

from sortgate import keys
from sortgate.errors import BrokerError
from sortgate.settings import Settings
from sortgate.streams.redirect import Route, node_of
from sortgate.streams.scripts import load_script, script_sha
from sortgate.types import PRIORITIES
from sortgate.worker.answer import Answer, dead_answer, pack_answers
from sortgate.worker.commits import Commits
from sortgate.worker.entries import Batch, Entry, pack_keys
from sortgate.worker.figures import QueueFigures
from sortgate.worker.hand import Hand
from sortgate.worker.link import Link, LinkLost, raise_error
from sortgate.worker.report import QueueReport
from sortgate.worker.shares import shares
from sortgate.worker.state import StateWatch, state_command

logger = get_logger(__name__)

_SCRIPTS = ("group", "commit", "claim", "recover", "renew", "release")
#: How long an idle worker's read blocks in Redis; a link that is silent for longer than this + the time-out is dead.
BLOCK_MS = 2000
#: Consumers of workers that vanished are deleted once they have been empty and idle for this long.
IDLE_CONSUMER_MS = 3_600_000
FINISH_PAUSE_S = 0.5
RECONNECT_S = (0.0, 0.1, 0.25, 0.5, 1.0)


class QueueConsumer:
    """The worker's side of one queue.

    Args:
        queue: its name.
        settings: bounds, leases and time-outs.
        capacity: most entries in hand.
        on_entries: called when entries are waiting for a pool process.

    Attributes:
        hand: the entries read and not yet confirmed as answered.
        done: texts that this worker has answered.
        figures: what it has counted.
    """

    def __init__(self, queue: str, settings: Settings, capacity: int, on_entries: Callable[[], None]) -> None:
        self.queue = queue
        self.consumer = f"{socket.gethostname()}-{os.getpid()}-{os.urandom(3).hex()}"
        self.hand = Hand(queue, capacity, settings.batch_texts, settings.max_deliveries)
        self.done = 0
        self._settings = settings
        self._on_entries = on_entries
        self._streams = [keys.requests(queue, priority) for priority in PRIORITIES]
        self._route = Route()
        self._reads = Link(settings, f"sortgate-{queue}-read", self._lost, self._route)
        self._commands = Link(settings, f"sortgate-{queue}", self._lost, self._route)
        self._links = (self._commands, self._reads)
        self.figures = QueueFigures()
        self._commits = Commits(queue, settings, self._commands, self.figures, self._on_confirmed)
        self._connected = self._reading = False
        #: which streams had texts at the last read
        self._busy = [True] * len(self._streams)
        self._stopping = False
        self._results_full = False
        self._attempts = 0
        #: sent to another node since a read has succeeded; if again, nodes do not agree, which takes time
        self._moved = False
        self._connect_at = 0.0
        self._renew_at = self._sweep_at = 0.0
        self._clock_offset_ms = 0.0
        self._scripts = (*_SCRIPTS, "state") if settings.metrics_port else _SCRIPTS
        self._watch = StateWatch(queue, settings)
        self._progress_at = time.monotonic()

    # -- event loop -------------------------------------------------------------------------------------------------

    def attach(self, hub: Any) -> None:
        """Register with the event loop; called again after every restart of Celery's consumer."""
        for link in self._links:
            link.attach(hub)
        self.tick()

    def detach(self) -> None:
        """Leave the event loop; links stay open and the answers of running batches are still committed."""
        for link in self._links:
            link.detach()

    def tick(self) -> None:
        """Do what is due: reconnect, renew leases, sweep, notice a silent peer. Called a few times a second."""
        now = time.monotonic()
        if not self._connected:
            if now >= self._connect_at:
                self._connect()
            if not self._connected:
                return  # else what is due follows at once, the first heartbeat among it
        try:
            for link in self._links:
                link.check()
            if now >= self._renew_at:
                self._renew_at = now + self._settings.lease_s / 3.0
                self._renew()
            if now >= self._sweep_at and not self._stopping:
                self._sweep_at = now + self._settings.sweep_s
                self._sweep()
            if self._watch.due(now):
                self._commands.send(self._watch.take, *state_command(self.queue))
            self._read()
        except LinkLost as error:
            self._lost(error)

    # -- links ------------------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        """Connect both links and take up where they broke; after connecting, waits for one time-out at most."""
        until = time.monotonic() + self._settings.socket_timeout_s
        try:
            for link in self._links:
                link.connect()
                for name in self._scripts:
                    link.send(raise_error, "SCRIPT", "LOAD", load_script(name))
            self._reads.call("PING", until=until)
            self._set_clock(self._commands.call("TIME", until=until))
            found = self._commands.call(
                *self._script("recover", 3), *self._streams, keys.GROUP, self.consumer,
                pack_keys(self.hand.entries()), self.hand.capacity + 1000, until=until,
            )  # fmt: skip
            self._accept(found, counted=True)
            self._connected = True
            self._commits.resend()
        except (BrokerError, LinkLost) as error:
            self._lost(error)
            return
        except Exception as error:  # half connected is worse than not connected
            self._lost(error)
            raise
        self._on_entries()
        self._renew_at = self._sweep_at = 0.0

    def _lost(self, error: Exception) -> None:
        for link in self._links:
            link.close()
        self._connected = self._reading = False
        self._busy = [True] * len(self._streams)
        if (node := node_of(error)) is not None:
            self._route.follow(node)
            if not self._moved:
                self._moved = True
                logger.info("queue %s: its node of the cluster is %s:%d", self.queue, *node)
                self._connect_at = 0.0
                return
        else:
            self._route.leave()
        pause = RECONNECT_S[min(self._attempts, len(RECONNECT_S) - 1)]
        if self._attempts == 0:
            logger.warning("queue %s: link to Redis lost (%s), reconnecting", self.queue, error)
        self._attempts += 1
        self._connect_at = time.monotonic() + pause

    def _healthy(self) -> None:
        """A whole read has succeeded: only that ends the pauses between attempts."""
        if self._attempts:
            logger.warning("queue %s: link to Redis is back", self.queue)
        self._attempts = 0
        self._moved = False

    def _script(self, name: str, number_of_keys: int) -> tuple[str, str, int]:
        return ("EVALSHA", script_sha(name), number_of_keys)

    # -- reading ----------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        """Ask for more unless a read is on its way; at half of the capacity, so that reads stay large.

        One command a stream, sent together: a single one over all three would not prioritise, and a script's reply
        costs Redis twice as much.
        """
        room = self.hand.room
        if self._reading or self._stopping or room * 2 < self.hand.capacity or not self._reads.connected:
            return
        self._reading = True
        self._reads.send(self._on_time, "TIME")
        if not self._results_full:
            counts = shares(room, self._busy)
            self._busy = [False] * len(self._streams)
            for number, (stream, count) in enumerate(zip(self._streams, counts, strict=True), 1):
                self._reads.send(
                    partial(self._on_stream, number), "XREADGROUP", "GROUP", keys.GROUP, self.consumer,
                    "COUNT", count, "STREAMS", stream, ">",
                )  # fmt: skip
        self._reads.send(self._on_read, "XLEN", keys.results(self.queue))

    def _on_time(self, reply: Any) -> None:
        raise_error(reply)
        self._set_clock(reply)

    def _on_stream(self, number: int, reply: Any) -> None:
        if isinstance(reply, hiredis.ReplyError) and str(reply).startswith("NOGROUP"):
            self._reads.send(raise_error, *self._script("group", 1), self._streams[number - 1], keys.GROUP)
            return
        raise_error(reply)
        before = len(self.hand)
        for _, entries in reply or ():
            self._busy[number - 1] = True
            for entry, fields in entries:
                self.hand.add(Entry(number, entry.decode(), fields or []))
        self.figures.counts["accepted"] += len(self.hand) - before

    def _on_read(self, results: Any) -> None:
        """Take note of the result stream's length, which ends a read."""
        self._reading = False
        raise_error(results)
        self._healthy()
        was_full, self._results_full = self._results_full, results >= self._settings.results_limit
        if was_full != self._results_full:
            state = "full, reading is paused" if self._results_full else "no longer full, reading goes on"
            logger.warning("queue %s: the result stream is %s", self.queue, state)
        if any(self._busy) and not was_full:
            self._on_entries()
        if self._results_full:
            return  # the next tick asks again
        if any(self._busy) or was_full:
            self._read()
        elif not self._stopping:
            self._wait_for_work()

    def _wait_for_work(self) -> None:
        """Block in Redis on all three streams: whichever gets a text first wakes an idle worker at once."""
        room = self.hand.room // len(self._streams)  # the count is for each stream
        if room <= 0:
            return  # a sweep has filled the hand meanwhile; the next commit reads again
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
            reply = None  # the group went with its stream: the next read creates it again
        for stream, entries in reply or ():
            self._on_stream(self._streams.index(stream.decode()) + 1, [(stream, entries)])
        if reply:
            self._on_entries()
        self._read()

    def _accept(self, found: list[tuple[int, bytes, int, list[bytes]]], *, counted: bool) -> None:
        """Take in entries that were delivered before; those that have exhausted their deliveries are answered."""
        exhausted, before = [], len(self.hand)
        for number, name, deliveries, fields in found:
            entry = Entry(number, name.decode(), fields, deliveries, failures=deliveries - 1)
            if deliveries > self._settings.max_deliveries and not counted and entry not in self.hand:
                self.hand.hold(entry)
                exhausted.append(entry)
            else:
                self.hand.add(entry)
        self.figures.counts["accepted"] += len(self.hand) - before
        if exhausted:
            limit = self._settings.max_deliveries
            self._bury(exhausted, "deliveries_exhausted", f"delivered {limit} times and never answered")

    # -- leases -----------------------------------------------------------------------------------------------------

    def _renew(self) -> None:
        beat = {
            "host": socket.gethostname(), "pid": os.getpid(), "in_flight": len(self.hand), "done": self.done,
            "at_ms": round(self.now_ms()),
        }  # fmt: skip
        self._commands.send(
            raise_error, *self._script("renew", 4), *self._streams, keys.workers(self.queue),
            keys.GROUP, self.consumer, pack_keys(self.hand.entries()), json.dumps(beat),
        )  # fmt: skip

    def _sweep(self) -> None:
        if self.hand.room <= 0:
            return
        self._commands.send(
            self._on_swept, *self._script("claim", 5), *self._streams, keys.counters(self.queue),
            keys.workers(self.queue), keys.GROUP, self.consumer, round(self._settings.lease_s * 1000), self.hand.room,
            IDLE_CONSUMER_MS,
        )  # fmt: skip

    def _on_swept(self, reply: Any) -> None:
        raise_error(reply)
        if reply:
            logger.info("queue %s: took over %d texts whose lease had run out", self.queue, len(reply))
            self.figures.counts["reclaimed"] += len(reply)
            self.figures.counts["redelivered"] += sum(deliveries > 1 for _, _, deliveries, _ in reply)
            self._accept(reply, counted=False)
            self._on_entries()

    def _set_clock(self, now: tuple[bytes, bytes]) -> None:
        """Take Redis's ``TIME``: seconds and microseconds."""
        self._clock_offset_ms = int(now[0]) * 1000.0 + int(now[1]) / 1000.0 - time.monotonic() * 1000.0

    def now_ms(self) -> float:
        """Return Unix milliseconds by Redis's clock, as of its last reply; this machine's clock is never used."""
        return time.monotonic() * 1000.0 + self._clock_offset_ms

    # -- answers ----------------------------------------------------------------------------------------------------

    def commit(self, answers: bytes, entries: list[Entry]) -> None:
        """Write the answers to ``entries``; kept and repeated until Redis confirms."""
        try:
            self._commits.add(answers, entries)
        except LinkLost as error:
            self._lost(error)

    def _on_confirmed(self, entries: list[Entry], answered: int) -> None:
        self.hand.drop(entries)
        self.done += answered
        self._progress_at = time.monotonic()
        self._read()

    def failed(self, batch: Batch, code: str, message: str) -> None:
        """Take note that a process could not answer this batch: its texts are tried again in smaller batches."""
        # Progress of a kind: after so many failures a text is given up and answered.
        self._progress_at = time.monotonic()
        self.figures.counts[code] += 1
        exhausted = self.hand.failed(batch)
        self.figures.counts["retried"] += len(batch.entries) - len(exhausted)
        if exhausted:
            self._bury(exhausted, code, message)

    def _bury(self, entries: list[Entry], code: str, message: str) -> None:
        limit = self._settings.max_text_bytes
        answers: list[Answer] = [
            dead_answer(e.stream, e.entry, e.fields, self.queue, code, message, limit) for e in entries
        ]
        self.commit(pack_answers(answers), entries)

    # -- metrics ----------------------------------------------------------------------------------------------------

    def report(self) -> QueueReport:
        """Return what is to be told of the queue now; figures and texts in hand belong together."""
        report = QueueReport(
            queue=self.queue, connected=self._connected, paused=self._results_full, in_flight=len(self.hand),
            waiting=self.hand.waiting, figures=self.figures.copy(), state=self._watch.state,
            heard_at=self._watch.heard_at, progress_at=self._progress_at,
        )  # fmt: skip
        if not report.has_work:  # from now on counts the time without progress, once there is some
            self._progress_at = time.monotonic()
        return report

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
        self._reads.close()
        self._release(self.hand.take_waiting(), leave=False)

    def finish(self, until: float) -> None:
        """Commit what is left, hand back the rest and leave the group; the last thing a worker does.

        Args:
            until: time (monotonic) after which no further attempt is made.
        """
        while not self._finish(until):
            if time.monotonic() + FINISH_PAUSE_S >= until:
                logger.warning(
                    "queue %s: Redis does not take the last answers; the leases of their texts will run out", self.queue
                )
                break
            time.sleep(FINISH_PAUSE_S)
        for link in self._links:
            link.close()

    def _finish(self, until: float) -> bool:
        if not self._commands.connected:
            self._connect()  # sends unconfirmed commits again
        try:
            if self._commands.connected:
                # replies owed come first on the link, so after this call every commit sent is confirmed
                found = self._commands.call(
                    *self._script("recover", 3), *self._streams, keys.GROUP, self.consumer, pack_keys([]), 100_000,
                    until=until,
                )  # fmt: skip
                rest = [Entry(n, name.decode(), [], deliveries, deliveries - 1) for n, name, deliveries, _ in found]
                for entry in rest:
                    if known := self.hand.known(entry):
                        entry.failures = known.failures
                return self._release(rest, leave=True)
        except (LinkLost, BrokerError) as error:
            self._lost(error)
        return False

    def _release(self, entries: list[Entry], *, leave: bool) -> bool:
        before = len(self.hand)
        self.hand.drop(entries)
        self.figures.counts["released"] += before - len(self.hand)
        if not self._commands.connected:
            return False
        packed = msgspec.msgpack.encode([(e.stream, e.entry, e.failures) for e in entries])
        try:
            handed = self._commands.call(
                *self._script("release", 4), *self._streams, keys.workers(self.queue),
                keys.GROUP, self.consumer, keys.RELEASED, int(leave), packed,
                until=time.monotonic() + self._settings.socket_timeout_s,
            )  # fmt: skip
        except (LinkLost, BrokerError) as error:
            self._lost(error)
            return False
        if handed:
            logger.info("queue %s: handed back %d texts", self.queue, handed)
        return True

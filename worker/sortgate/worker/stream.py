"""Has one queue's streams read, keeps its leases, commits its answers, and heals its links to Redis.

Everything here runs in the worker's main process, in the event loop's thread. Nothing is taken off the table of
entries in hand before Redis has confirmed the commit of its answer, so a broken link only repeats work.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from typing import Any

import msgspec
from celery.utils.log import get_logger

from sortgate import keys
from sortgate.errors import BrokerError
from sortgate.settings import Settings
from sortgate.streams.scripts import load_script, script_sha
from sortgate.types import PRIORITIES
from sortgate.worker.commits import Commits
from sortgate.worker.entries import Entry, pack_keys
from sortgate.worker.figures import QueueFigures
from sortgate.worker.hand import Hand
from sortgate.worker.link import Link, LinkLost, raise_error
from sortgate.worker.observing import WorkerObservers
from sortgate.worker.outcomes import Outcomes
from sortgate.worker.reader import Reader
from sortgate.worker.reconnection import Reconnection
from sortgate.worker.report import QueueReport
from sortgate.worker.state import StateWatch, state_command

logger = get_logger(__name__)

_SCRIPTS = ("group", "commit", "claim", "recover", "renew", "release")
#: Consumers of workers that vanished are deleted once they have been empty and idle for this long.
IDLE_CONSUMER_MS = 3_600_000
FINISH_PAUSE_S = 0.5
#: Between two looks at whether a broken component works again.
BREAKER_TRY_S = 5.0


class QueueConsumer:
    """The worker's side of one queue.

    Args:
        queue: its name.
        settings: bounds, leases and time-outs.
        capacity: most entries in hand.
        on_entries: called when entries are waiting for a pool process.
        observers: plugins that are told what happens.
        pause_s: gives the seconds for which there is no hurry to read on.

    Attributes:
        hand: the entries read and not yet confirmed as answered.
        outcomes: is told what became of batches.
        done: texts that this worker has answered.
        figures: what it has counted.
        broken: what keeps a component of the queue's bundle from working here; empty when none is. Nothing is read
            meanwhile, and what was read is handed back, for other workers.
    """

    def __init__(
        self,
        queue: str,
        settings: Settings,
        capacity: int,
        on_entries: Callable[[], None],
        observers: WorkerObservers | None = None,
        pause_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.queue = queue
        self.consumer = f"{socket.gethostname()}-{os.getpid()}-{os.urandom(3).hex()}"
        self._most_in_hand = capacity  # among so many is looked for what was lost on a link, whatever fits in then
        self.hand = Hand(queue, capacity, settings.batch_texts, settings.max_deliveries)
        self.done = 0
        self.broken = ""
        self._try_at = 0.0
        self._settings = settings
        self._on_entries = on_entries
        self._streams = [keys.requests(queue, priority) for priority in PRIORITIES]
        self._reconnection = Reconnection(queue)
        self._reads, self._commands = (
            Link(settings, name, self._lost, self._reconnection.route)
            for name in (f"sortgate-{queue}-read", f"sortgate-{queue}")
        )
        self._links = (self._commands, self._reads)
        self.figures = QueueFigures()
        self._commits = Commits(queue, settings, self._commands, self.figures, self._on_confirmed)
        self._reader = Reader(
            queue, self.consumer, settings, self._reads, self.hand, self.figures,
            on_entries=on_entries, on_time=self._set_clock, on_whole=self._reconnection.succeeded,
            pause_s=pause_s,
        )  # fmt: skip
        self._connected = False
        self._renew_at = self._sweep_at = 0.0
        self._clock_offset_ms = 0.0
        needed = {"allow": queue in settings.rates, "state": settings.metrics_port}
        self._scripts = (*_SCRIPTS, *(name for name, used in needed.items() if used))
        self._watch = StateWatch(queue, settings)
        self.outcomes = Outcomes(queue, settings, self.hand, self.figures, self.commit, observers)

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
            if self._reconnection.due:
                self._connect()
            if not self._connected:
                return  # else what is due follows at once, the first heartbeat among it
        try:
            for link in self._links:
                link.check()
            if now >= self._renew_at:
                self._renew_at = now + self._settings.lease_s / 3.0
                self._renew()
            if self.broken:
                self._release(self.hand.take_waiting(), leave=False)
            if now >= self._sweep_at and not self._reader.stopped and not self.broken:
                self._sweep_at = now + self._settings.sweep_s
                self._sweep()
            if self._watch.due(now):
                self._commands.send(self._watch.take, *state_command(self.queue))
            self._reader.read()
        except LinkLost as error:
            self._lost(error)

    def resize(self, capacity: int) -> None:
        """Have so many entries in hand from now on, up to what the worker started with."""
        self.hand.capacity = min(capacity, self._most_in_hand)

    def read(self) -> None:
        """Read now: a process waits for texts."""
        try:
            self._reader.read()
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
                pack_keys(self.hand.entries()), self._most_in_hand + 1000, until=until,
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
        self._connected = False
        self._reader.reset()
        self._reconnection.lost(error)

    def _script(self, name: str, number_of_keys: int) -> tuple[str, str, int]:
        return ("EVALSHA", script_sha(name), number_of_keys)

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
            self.outcomes.bury(exhausted, "deliveries_exhausted", f"delivered {limit} times and never answered")

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
            logger.info(
                "queue %s: took over %d texts that were handed back, or whose lease had run out", self.queue, len(reply)
            )
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
        self.outcomes.got_on()
        self._reader.read()

    def hold(self, reason: str) -> None:
        """Read no more until :meth:`go_on`, and leave what no process has to other workers."""
        if not self.broken:
            logger.error("queue %s: reading is held, since a component is broken here: %s", self.queue, reason)
        self.broken, self._reader.held = reason, True
        self._try_at = time.monotonic() + BREAKER_TRY_S
        self.outcomes.got_on()

    def go_on(self) -> None:
        """Read again."""
        if self.broken:
            logger.warning("queue %s: the components work again, reading goes on", self.queue)
        self.broken, self._reader.held = "", False
        self._sweep_at = 0.0  # what was handed back may still be there

    @property
    def to_try(self) -> bool:
        """Whether it is time to look if the components work again; said once every ``BREAKER_TRY_S``."""
        due = bool(self.broken) and time.monotonic() >= self._try_at
        if due:
            self._try_at = time.monotonic() + BREAKER_TRY_S
        return due

    # -- metrics ----------------------------------------------------------------------------------------------------

    def report(self) -> QueueReport:
        """Return what is to be told of the queue now; figures and texts in hand belong together."""
        report = QueueReport(
            queue=self.queue, connected=self._connected, paused=self._reader.results_full,
            limited=self._reader.limited, broken=self.broken, in_flight=len(self.hand), waiting=self.hand.waiting,
            figures=self.figures.copy(), state=self._watch.state, heard_at=self._watch.heard_at,
            progress_at=self.outcomes.progress_at,
        )  # fmt: skip
        if not report.has_work:  # from now on counts the time without progress, once there is some
            self.outcomes.got_on()
        return report

    # -- stopping ---------------------------------------------------------------------------------------------------

    def stop_reading(self) -> None:
        """Read no more and hand back what no process has started on; answers of running batches still go out.

        The reading link is closed: a read that Redis has answered meanwhile is found by :meth:`finish`.
        """
        self._reader.stopped = True
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
                    "queue %s: Redis does not take what is left; the leases of %d texts will run out",
                    self.queue,
                    len(self.hand),
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

"""What the event loop tells the threads that answer scrapes and probes, and what may be concluded from it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sortgate.settings import Settings
from sortgate.worker.figures import QueueFigures
from sortgate.worker.observing import WorkerObservers
from sortgate.worker.state import QueueState


@dataclass(frozen=True, slots=True)
class QueueReport:
    """A queue between two events of the loop. Times are those of ``time.monotonic``.

    Attributes:
        connected: whether its links to Redis are.
        paused: the result stream is full, so nothing is read.
        limited: the queue's rate limit lets nothing be read at the moment.
        broken: what keeps a component of the bundle from working here, so that nothing is read; empty when none is.
        in_flight: texts in hand.
        waiting: those of them that no pool process has.
        figures: a copy.
        state: what Redis said last; None before that, and where it refuses to say.
        heard_at: when it said so.
        progress_at: when a batch was last done, be it answered or failed, or there was nothing to do.
    """

    queue: str
    connected: bool
    paused: bool
    limited: bool
    broken: str
    in_flight: int
    waiting: int
    figures: QueueFigures
    state: QueueState | None
    heard_at: float
    progress_at: float

    @property
    def unread(self) -> int:
        """Texts in Redis that no worker has read."""
        return 0 if self.state is None else sum(self.state.backlog.values())

    @property
    def has_work(self) -> bool:
        """Whether there are texts that this worker could get on with."""
        return self.in_flight > 0 or (self.unread > 0 and not self.paused and not self.limited and not self.broken)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to a probe: well or not, why not, and the figures behind it."""

    well: bool
    reason: str = ""
    figures: dict[str, Any] = field(default_factory=dict)


class Monitor:
    """Written by the event loop's thread, read by others; every attribute is replaced, none is changed in place.

    Args:
        settings: for the time without progress that is too long.
        processes: size of the pool.
        observers: plugins that are told what happens.

    Attributes:
        served: queue, model and fingerprint of each queue, once a pool process has loaded and verified its bundles.
        busy: pool processes that have a batch.
        reports: one a queue, as of the loop's last turn.
        celery_dropped: messages of Celery's queues that were no task of this worker.
    """

    def __init__(self, settings: Settings, processes: int, observers: WorkerObservers | None = None) -> None:
        self.observers = observers
        self.limit_s = settings.health_limit_s
        self.processes = processes
        self.served: tuple[tuple[str, str, str], ...] = ()
        self.busy = self.celery_dropped = 0
        self.reports: tuple[QueueReport, ...] = ()
        self._attached = self._stopping = False
        self._loaded_at = self._turned_at = time.monotonic()

    def loaded(self, served: Sequence[tuple[str, str, str]]) -> None:
        """Take note that a pool process has loaded its bundles."""
        self._loaded_at = time.monotonic()
        self.served = tuple(served)

    def turned(self, reports: Sequence[QueueReport], busy: int) -> None:
        """Take note that the event loop turns, and what it has to tell."""
        self._attached = True
        self.reports, self.busy, self._turned_at = tuple(reports), busy, time.monotonic()

    def detached(self) -> None:
        """Take note that Celery has stopped the event loop because its broker is away; the next turn ends that."""
        self._attached = False

    def stopping(self) -> None:
        """Take note that the worker reads no more."""
        self._stopping = True

    def readiness(self) -> Verdict:
        """Return whether texts would be answered now."""
        broken = [f"queue {report.queue}: {report.broken}" for report in self.reports if report.broken]
        lost = [report.queue for report in self.reports if not report.connected]
        if self._stopping:
            return Verdict(False, "the worker is stopping")
        if not self.served:
            return Verdict(False, "no pool process has loaded its bundles yet")
        if not self._attached or not self.reports:
            return Verdict(False, "Celery's broker is away")
        if lost:
            return Verdict(False, f"no link to Redis for queue {', '.join(lost)}")
        if broken:
            return Verdict(False, "; ".join(broken))
        return Verdict(True, figures={"queues": {queue: model for queue, model, _ in self.served}})

    def health(self) -> Verdict:
        """Return whether the worker gets on: an empty queue is well, texts that nobody finishes are not."""
        now = time.monotonic()
        figures = {
            "limit_s": self.limit_s,
            "loop_s": round(now - self._turned_at, 1),
            "queues": {report.queue: self._figures(report, now) for report in self.reports},
        }
        reason = self._standstill(now)
        return Verdict(not reason, reason, figures)

    def _figures(self, report: QueueReport, now: float) -> dict[str, Any]:
        return {
            "in_flight": report.in_flight,
            "unread": report.unread,
            "paused": report.paused,
            "limited": report.limited,
            "broken": report.broken,
            "silent_s": round(now - report.heard_at, 1),
            "without_progress_s": round(now - self._progress_at(report), 1),
        }

    def _progress_at(self, report: QueueReport) -> float:
        """Return when the queue last got on; before a process has loaded its bundles none can."""
        return max(report.progress_at, self._loaded_at) if self.served else self._turned_at

    def _standstill(self, now: float) -> str:
        """Return what stands still for too long, ``""`` when nothing does."""
        if now - self._turned_at > self.limit_s:
            what = "the event loop has not turned" if self._attached else "Celery's broker has been away"
            return f"{what} for {now - self._turned_at:.0f} s"
        for report in self.reports:
            if now - report.heard_at > self.limit_s:
                return f"queue {report.queue}: Redis has been silent for {now - report.heard_at:.0f} s"
        # Queues take turns on the same processes, so one of several may have to wait for the others' batches.
        working = [report for report in self.reports if report.has_work]
        latest = max((self._progress_at(report) for report in working), default=now)
        for report in working:
            at = self._progress_at(report)
            if now - at > self.limit_s * (1 if at == latest else len(working)):
                return (
                    f"queue {report.queue}: {report.in_flight} texts in hand, {report.unread} unread, "
                    f"and none completed for {now - at:.0f} s"
                )
        return ""

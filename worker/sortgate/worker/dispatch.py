"""Gives batches of all queues to idle processes of Celery's prefork pool and routes what comes back."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery.utils.log import get_logger

from sortgate.errors import FATAL, ComponentBrokenError, InferenceError, SortgateError
from sortgate.settings import Settings
from sortgate.worker.batch_size import BatchSize
from sortgate.worker.child import Tried, ready, run_batch, try_components
from sortgate.worker.copies import CopyDiedError
from sortgate.worker.entries import LOST, Batch, Care, pack_batch
from sortgate.worker.figures import BatchFigures
from sortgate.worker.observing import WorkerObservers
from sortgate.worker.pool import PoolGuard
from sortgate.worker.report import Monitor
from sortgate.worker.stream import QueueConsumer

logger = get_logger(__name__)

#: While all processes are busy, the next read comes after this share of the time that a batch takes of late, and after
#: so many seconds at most: what is read may then wait for a process that is free, but not for long.
PAUSE_SHARE, MOST_PAUSE_S = 0.5, 0.02
#: Weight of a new batch in the time that batches take of late.
NEWEST = 0.1

#: What all queues together get to leave when Redis does not answer; orchestrators kill after 30 or 45 seconds.
FINISH_S = 10.0


class Dispatcher:
    """Hands out one batch a process, so that nothing waits where Celery could discard it.

    Args:
        pool: Celery's prefork pool.
        settings: batch size and time limit.
        queues: names of the queues served.
        on_fatal: called when a process cannot load its bundles; no other process will.

    Attributes:
        consumers: by queue.
        monitor: what is told to scrapes and probes.
        observers: plugins that are told what happens.
    """

    def __init__(
        self, pool: Any, settings: Settings, queues: list[str], on_fatal: Callable[[SortgateError], None]
    ) -> None:
        self._pool = pool
        self._guard = PoolGuard(pool)
        self._settings = settings
        self._on_fatal = on_fatal
        self._running: set[Batch] = set()
        self._trying: set[str] = set()
        self._open = False
        self._turn = 0
        self._batch_s = 0.0
        self._sizes = {queue: BatchSize(settings.batch_texts) for queue in queues}
        self._processes: int = max(1, pool.num_processes)
        capacity = self._capacity(settings.batch_texts)
        self.observers = WorkerObservers.from_settings(settings)
        self.consumers = {
            queue: QueueConsumer(queue, settings, capacity, self.fill, self.observers, self._pause_s)
            for queue in queues
        }
        for queue, consumer in self.consumers.items():
            consumer.resize(self._capacity(self._sizes[queue].most))
        self.monitor = Monitor(settings, pool.num_processes, self.observers)

    def _capacity(self, batch_texts: int) -> int:
        """Return how many texts of a queue may be in hand: a batch for each process, and as many that wait."""
        return 2 * self._processes * batch_texts

    def open(self, hub: Any) -> None:
        """Start handing out; the pool must be registered with the event loop."""
        self._open = True
        self._guard.resume(hub)
        self.fill()
        self._tell()  # not only at the next tick: the worker is ready now

    def tick(self) -> None:
        """Let every queue do what is due.

        Not once :meth:`close` was called: Celery then fires timers in a thread of their own, while answers that the
        pool still gives are committed in the main thread.
        """
        if not self._open:
            return
        self._guard.turned()
        # Celery notices the end of a replaced process at once or, when its descriptors were reused, 5 seconds later.
        if any(process.exitcode is not None for process in self._pool._pool._pool):
            self._pool.maintain_pool()
        for consumer in self.consumers.values():
            consumer.tick()
            if consumer.queue not in self._trying and self._idle > 0 and consumer.to_try:
                self._try(consumer)
        self._tell()

    def _tell(self) -> None:
        """Tell the monitor how things are, if anyone may ask it."""
        if self._settings.metrics_port:
            self.monitor.turned([consumer.report() for consumer in self.consumers.values()], len(self._running))

    def probe(self) -> None:
        """Ask a process whether its bundles loaded, so that a broken one is known before any text."""
        self._pool.apply_async(ready, callback=self._on_ready, error_callback=self._on_not_ready)

    def _on_ready(self, served: list[tuple[str, str, str]]) -> None:
        for queue, model, _ in served:
            rate = self._settings.rates.get(queue)
            limit = f", at most {rate:g} texts/s by all of its workers together" if rate else ""
            logger.info("serving queue %s with %s%s", queue, model, limit)
        for queue in self._settings.rates.keys() - self.consumers.keys():
            logger.warning("SORTGATE_RATE_LIMITS names queue %s, which this worker does not serve", queue)
        self.monitor.loaded(served)
        self.observers.tell("sortgate_worker_ready", queues={queue: model for queue, model, _ in served})

    def _on_not_ready(self, info: Any) -> None:
        if isinstance(info.exception, SortgateError):
            self._on_fatal(info.exception)

    def _try(self, consumer: QueueConsumer) -> None:
        """Have a process look whether the components of a queue's bundle work again."""

        def on_tried(problem: str | None) -> None:
            self._trying.discard(consumer.queue)
            if problem:
                consumer.hold(problem)
            else:
                consumer.go_on()
            self._freed()

        def on_error(info: Any) -> None:
            self._trying.discard(consumer.queue)
            self._on_not_ready(info)
            self._freed()

        self._trying.add(consumer.queue)
        self._pool.apply_async(
            try_components,
            (consumer.queue,),
            callback=on_tried,
            error_callback=on_error,
            timeout=self._settings.batch_timeout_s,
        )

    def fill(self) -> None:
        """Give every idle process a batch, the queues taking turns."""
        if not self._open:
            return
        consumers = [consumer for consumer in self.consumers.values() if not consumer.broken]
        idle = self._idle
        while idle > 0 and any(consumer.hand.waiting for consumer in consumers):
            consumer = consumers[self._turn % len(consumers)]
            # An idle process gets its share at once; nobody waits for a batch to fill up.
            share = -(-consumer.hand.waiting // idle)
            batch = consumer.hand.take(min(self._sizes[consumer.queue].most, share))
            self._turn += batch is None or not batch.passing
            if batch is not None:
                self._start(consumer, batch)
                idle = self._idle if batch in self._running else 0

    @property
    def _idle(self) -> int:
        """Processes that have nothing to do."""
        processes: int = self._pool.num_processes
        return processes - len(self._running) - len(self._trying)

    def _freed(self) -> None:
        """Give a process that has become free what waits, or have it read."""
        self.fill()
        self._read_for_idle()

    def _read_for_idle(self) -> None:
        """End the pauses of all queues if a process has become free and found nothing waiting."""
        if self._open and self._idle > 0:
            for consumer in self.consumers.values():
                consumer.read()

    def _pause_s(self) -> float:
        """Return the seconds for which texts that were read now would only wait."""
        return 0.0 if self._idle > 0 else min(MOST_PAUSE_S, PAUSE_SHARE * self._batch_s)

    def _start(self, consumer: QueueConsumer, batch: Batch) -> None:
        self._running.add(batch)
        started = time.monotonic()

        def on_accept(_pid: int, _at: float) -> None:
            batch.accepted = True

        def on_done(result: tuple[Any, ...]) -> None:
            tried = Tried(*result)
            self._running.discard(batch)
            self._took(consumer, batch, time.monotonic() - started)
            answered = [entry for number, entry in enumerate(batch.entries) if number not in tried.deadly]
            try:
                self.fill()  # before the commit: the process that has just become idle need not wait for it
            finally:
                if answered:
                    consumer.commit(tried.answers, answered)
            if tried.deaths:
                consumer.outcomes.copies_died(batch, tried.deadly, tried.deaths)
            self._read_for_idle()
            if tried.figures is not None:
                consumer.outcomes.answered(len(answered), BatchFigures(*tried.figures))

        def on_error(info: Any) -> None:
            self._running.discard(batch)
            self._failed(consumer, batch, info)
            self._freed()

        # on_apply, not apply_async: that one writes the arguments, and so the texts, to the log at level debug
        batch.job = self._pool.on_apply(
            run_batch,
            (
                pack_batch(batch.queue, round(consumer.now_ms()), batch.entries), int(batch.care),
                self._settings.batch_timeout_s,
            ),
            callback=on_done, error_callback=on_error, accept_callback=on_accept,
            timeout=self._settings.batch_timeout_s,
        )  # fmt: skip
        if batch.job is None:  # the pool is closing
            self._running.discard(batch)
            consumer.hand.put_back(batch)
        else:
            # When the broker's link breaks, Celery discards jobs that no process has accepted, on the assumption that
            # the broker delivers them again. Ours come from the stream: those already written to a process stay, or
            # that process would wait half a minute at shutdown for its result to be taken.
            batch.job.discard = _keep

    def _took(self, consumer: QueueConsumer, batch: Batch, seconds: float) -> None:
        """Take note of a batch's time, explanations and copies included."""
        # beyond what the longest pause comes from it need not be known: one long batch says little of the next
        self._batch_s += NEWEST * (min(seconds, MOST_PAUSE_S / PAUSE_SHARE) - self._batch_s)
        size = self._sizes[consumer.queue]
        size.took(len(batch.entries), seconds)
        consumer.resize(self._capacity(size.most))

    def _failed(self, consumer: QueueConsumer, batch: Batch, info: Any) -> None:
        if isinstance(info.exception, ComponentBrokenError):
            consumer.hand.put_back(batch)
            consumer.hold(str(info.exception))
            return
        if isinstance(info.exception, FATAL):
            consumer.hand.put_back(batch)
            self._on_fatal(info.exception)
            return
        # by type: billiard wraps the exceptions that it raises in this process
        if issubclass(info.type, TimeLimitExceeded):
            code, message = "timed_out", f"took longer than {self._settings.batch_timeout_s:g} s"
            self._took(consumer, batch, self._settings.batch_timeout_s)
        elif issubclass(info.type, WorkerLostError | CopyDiedError):
            code, message = LOST
            consumer.hand.be_careful(Care.ALL if batch.care else Care.TEXT_PATH)
        elif isinstance(info.exception, InferenceError):
            code, message = "inference_failed", str(info.exception)
        else:  # its message may hold a text
            code, message = "inference_failed", f"classifying it raised {info.type.__name__}"
        counted = "copies_died" if issubclass(info.type, CopyDiedError) else code
        logger.warning("queue %s: %s with a batch of %d texts", consumer.queue, counted, len(batch.entries))
        consumer.outcomes.failed(batch, code, message, counted)

    def take_back(self) -> None:
        """Take back batches that were never written to a process; Celery forgets them when the broker's link breaks."""
        if self._pool._pool is None:  # stopped at once: there is nothing left to take back from
            return
        outbound = self._pool._pool.outbound_buffer
        for batch in [batch for batch in self._running if not batch.accepted]:
            process = batch.job._write_to
            if process is not None and process._is_alive():
                self._finish_writing(batch, process)
                continue
            if batch.job in outbound:
                outbound.remove(batch.job)
            type(batch.job).discard(batch.job)
            self._running.discard(batch)
            self.consumers[batch.queue].hand.put_back(batch)

    def _finish_writing(self, batch: Batch, process: Any) -> None:
        """Write the rest of a batch larger than the pipe's buffer; at shutdown no event loop is left to do it."""
        reference = getattr(batch.job, "_writer", None)
        writer = reference() if reference is not None else None
        if writer is not None and writer in self._pool._pool._active_writers:
            self._pool._pool._flush_writer(process, writer)

    def close(self) -> None:
        """Hand out no more, and hand back to Redis what no process has started on."""
        self._open = False
        self.monitor.stopping()
        self.take_back()
        for consumer in self.consumers.values():
            consumer.stop_reading()

    def finish(self) -> None:
        """Leave every queue; called after the pool's last answer."""
        until = time.monotonic() + FINISH_S
        for consumer in self.consumers.values():
            consumer.finish(until)


def _keep() -> None:
    """Stands in for a job's ``discard``."""

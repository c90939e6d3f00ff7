"""Every metric of a worker, in one table: what it is called, what it means, and where its value comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

from sortgate.worker.figures import STATUSES, Distribution
from sortgate.worker.report import Monitor, QueueReport
from sortgate.worker.state import QueueState

#: Values by what the labels are.
Values = Mapping[tuple[str, ...], float | Distribution]


@dataclass(frozen=True)
class Metric:
    """One family of the exposition.

    Attributes:
        kind: its Prometheus type.
        name: as scraped; a histogram's has its suffixes added.
        labels: their names.
        text: what it is, in the unit that its name ends with.
        values: what the monitor knows; nothing while that is not known.
    """

    kind: Literal["counter", "gauge", "histogram"]
    name: str
    labels: tuple[str, ...]
    text: str
    values: Callable[[Monitor], Values]


def _of_queue(value: Callable[[QueueReport], float | Distribution]) -> Callable[[Monitor], Values]:
    """One value a queue, from its report."""
    return lambda monitor: {(report.queue,): value(report) for report in monitor.reports}


def _counts(names: Mapping[str, str] | str) -> Callable[[Monitor], Values]:
    """What this worker has counted: under one name, or under several by a label's value."""
    if isinstance(names, str):
        return _of_queue(lambda report: report.figures.counts[names])
    return lambda monitor: {
        (report.queue, label): report.figures.counts[name]
        for report in monitor.reports
        for label, name in names.items()
    }


def _observer_failures(monitor: Monitor) -> Values:
    return {} if monitor.observers is None else dict(monitor.observers.failures)


def _components(place: int) -> Callable[[Monitor], Values]:
    """Seconds (0) or failures (1) of each component."""
    return lambda monitor: {
        (report.queue, *key): done[place]
        for report in monitor.reports
        for key, done in report.figures.components.items()
    }


def _state(value: Callable[[QueueState], float]) -> Callable[[Monitor], Values]:
    """One value a queue, from what Redis said last."""
    return lambda monitor: {(r.queue,): value(r.state) for r in monitor.reports if r.state is not None}


def _states(values: Callable[[QueueState], Mapping[str, float]]) -> Callable[[Monitor], Values]:
    """Several values a queue, by one more label."""
    return lambda monitor: {
        (report.queue, label): value
        for report in monitor.reports
        if report.state is not None
        for label, value in values(report.state).items()
    }


_QUEUE = ("queue",)
_FAILURES = {code: code for code in ("timed_out", "worker_lost", "inference_failed")}
_EVENTS = ("suppressed", "duplicates", "reclaimed", "vanished", "undelivered", "lost")

#: What this worker has done since it started, and what it has in hand: add it up over the workers.
OWN = (
    Metric(
        "counter", "sortgate_accepted_total", _QUEUE,
        "Texts taken in hand: read for the first time, or taken over.", _counts("accepted"),
    ),
    Metric(
        "counter", "sortgate_answered_total", ("queue", "status"),
        "Texts answered, by the answer's status.", _counts({status: status for status in STATUSES}),
    ),
    Metric(
        "counter", "sortgate_duplicates_suppressed_total", _QUEUE,
        "Texts whose id had been answered within the de-duplication window: they got no second answer.",
        _counts("duplicates"),
    ),
    Metric(
        "counter", "sortgate_stale_answers_dropped_total", _QUEUE,
        "Answers dropped since another worker had answered the text: this one had lost its lease.", _counts("stale"),
    ),
    Metric(
        "counter", "sortgate_resent_answers_dropped_total", _QUEUE,
        "Answers that Redis had when they were sent again after a broken link: from the first attempt as a rule.",
        _counts("resent"),
    ),
    Metric(
        "counter", "sortgate_released_total", _QUEUE,
        "Texts let go of at shutdown, or since a component is broken here, to be answered by other workers.",
        _counts("released"),
    ),
    Metric(
        "counter", "sortgate_reclaimed_total", _QUEUE,
        "Texts taken over from another worker, whose lease had run out or who had handed them back.",
        _counts("reclaimed"),
    ),
    Metric(
        "counter", "sortgate_redelivered_total", _QUEUE,
        "Texts taken over from a worker that had lost them, and may have died of them.", _counts("redelivered"),
    ),
    Metric(
        "counter", "sortgate_retried_total", _QUEUE,
        "Texts tried again, in smaller batches, since their batch had failed.", _counts("retried"),
    ),
    Metric(
        "counter", "sortgate_failed_batches_total", ("queue", "code"),
        "Batches that no pool process answered: they took too long, the process died, or ONNX Runtime failed.",
        _counts(_FAILURES),
    ),
    Metric(
        "counter", "sortgate_copies_died_total", _QUEUE,
        "Copies of pool processes that died, where without them the processes would have.", _counts("copies_died"),
    ),
    Metric(
        "counter", "sortgate_undelivered_total", _QUEUE,
        "Answers that went to the result stream because their reply stream was gone or full.", _counts("undelivered"),
    ),
    Metric(
        "counter", "sortgate_padding_tokens_total", _QUEUE,
        "Token ids that only filled up the shorter texts of a sub-batch.", _counts("padding"),
    ),
    Metric(
        "counter", "sortgate_shared_texts_total", _QUEUE,
        "Texts that did not go through the model, since one with the same token ids had.", _counts("shared"),
    ),
    Metric(
        "histogram", "sortgate_wait_seconds", _QUEUE,
        "A text's wait from being enqueued to being given to a pool process, by Redis's clock.",
        _of_queue(lambda report: report.figures.queue_wait_s),
    ),
    Metric(
        "histogram", "sortgate_batch_texts", _QUEUE,
        "Texts of a batch.", _of_queue(lambda report: report.figures.batch_texts),
    ),
    Metric(
        "histogram", "sortgate_batch_tokens", _QUEUE,
        "Token ids of a batch that went through the model, padding left out.",
        _of_queue(lambda report: report.figures.batch_tokens),
    ),
    Metric(
        "histogram", "sortgate_batch_seconds", _QUEUE,
        "A batch's time in its pool process: text path, model and answers.",
        _of_queue(lambda report: report.figures.batch_s),
    ),
    Metric(
        "histogram", "sortgate_model_seconds", _QUEUE,
        "Of a batch, the time in ONNX Runtime.", _of_queue(lambda report: report.figures.model_s),
    ),
    Metric(
        "counter", "sortgate_component_seconds_total", ("queue", "component", "plugin"),
        "Time in each component of the text path; a tokenizer's includes the look-up of its tokens' ids.",
        _components(0),
    ),
    Metric(
        "counter", "sortgate_component_failures_total", ("queue", "component", "plugin"),
        "Texts on which the component failed.", _components(1),
    ),
    Metric(
        "histogram", "sortgate_commit_seconds", _QUEUE,
        "From a batch's answers to Redis's confirmation; a broken link counts.",
        _of_queue(lambda report: report.figures.commit_s),
    ),
    Metric(
        "gauge", "sortgate_in_flight", _QUEUE,
        "Texts in hand: read, and not yet confirmed as answered.", _of_queue(lambda report: report.in_flight),
    ),
    Metric(
        "gauge", "sortgate_waiting", _QUEUE,
        "Texts in hand that no pool process has.", _of_queue(lambda report: report.waiting),
    ),
)  # fmt: skip

#: What Redis knows of the whole queue: every worker tells the same, so take the greatest.
WHOLE = (
    Metric(
        "gauge", "sortgate_queue_lag_seconds", _QUEUE,
        "Age of the oldest text that no worker has read; 0 when there is none.", _state(lambda state: state.lag_s),
    ),
    Metric(
        "gauge", "sortgate_queue_backlog", ("queue", "priority"),
        "Texts that no worker has read.", _states(lambda state: state.backlog),
    ),
    Metric(
        "gauge", "sortgate_queue_pending", _QUEUE,
        "Texts that workers have in hand, or left behind when they died.", _state(lambda state: state.pending),
    ),
    Metric(
        "gauge", "sortgate_queue_oldest_pending_seconds", _QUEUE,
        "Age of the oldest of these, since it was enqueued; 0 when there is none.",
        _state(lambda state: state.oldest_pending_s),
    ),
    Metric(
        "gauge", "sortgate_queue_results", _QUEUE,
        "Results that nobody has collected.", _state(lambda state: state.results),
    ),
    Metric("gauge", "sortgate_queue_dead_letters", _QUEUE, "Dead letters kept.", _state(lambda state: state.dead)),
    Metric(
        "counter", "sortgate_queue_answered_total", ("queue", "status"),
        "Texts answered in the queue's whole life.",
        _states(lambda state: {status: state.totals.get(status, 0) for status in STATUSES}),
    ),
    Metric(
        "counter", "sortgate_queue_events_total", ("queue", "event"),
        "In the queue's whole life: answers suppressed since the text was answered already, duplicates of an id, texts "
        "reclaimed, texts vanished (deleted by hand while pending), answers undelivered to their reply stream, answers "
        "lost (no stream took them).",
        _states(lambda state: {event: state.totals.get(event, 0) for event in _EVENTS}),
    ),
)  # fmt: skip

#: How the worker is.
WORKER = (
    Metric("gauge", "sortgate_ready", (), "1 while `/readyz` says 200.", lambda m: {(): m.readiness().well}),
    Metric("gauge", "sortgate_healthy", (), "1 while `/healthz` says 200.", lambda m: {(): m.health().well}),
    Metric(
        "gauge", "sortgate_without_progress_seconds", _QUEUE,
        "Time since a batch was last done while there was work; near 0 when there is none.",
        lambda m: {(queue,): about["without_progress_s"] for queue, about in m.health().figures["queues"].items()},
    ),
    Metric(
        "gauge", "sortgate_redis_silent_seconds", _QUEUE,
        "Time since Redis last answered, and so the age of `sortgate_queue_…`; up to 2 is usual.",
        lambda m: {(queue,): about["silent_s"] for queue, about in m.health().figures["queues"].items()},
    ),
    Metric(
        "gauge", "sortgate_loop_seconds", (),
        "Time since the event loop last turned, and so the age of all other figures; up to 0.3 is usual.",
        lambda m: {(): m.health().figures["loop_s"]},
    ),
    Metric(
        "gauge", "sortgate_link_connected", _QUEUE,
        "1 while the queue's links to Redis are up.", _of_queue(lambda report: report.connected),
    ),
    Metric(
        "gauge", "sortgate_reading_paused", _QUEUE,
        "1 while the result stream is full, so that nothing is read.", _of_queue(lambda report: report.paused),
    ),
    Metric(
        "gauge", "sortgate_rate_limited", _QUEUE,
        "1 while the queue's rate limit lets nothing be read.", _of_queue(lambda report: report.limited),
    ),
    Metric(
        "gauge", "sortgate_breaker_open", _QUEUE,
        "1 while a component of the queue's bundle fails here on the bundle's golden texts, so that nothing is read.",
        _of_queue(lambda report: bool(report.broken)),
    ),
    Metric(
        "counter", "sortgate_observer_failures_total", ("hook", "plugin"),
        "Times that an observer of a plugin failed.", _observer_failures,
    ),
    Metric(
        "counter", "sortgate_observer_events_dropped_total", (),
        "Events that observers were not told of, since they were too slow.",
        lambda m: {(): m.observers.dropped} if m.observers else {},
    ),
    Metric(
        "counter", "sortgate_celery_messages_dropped_total", (),
        "Messages of Celery's queues that were dropped, since they are no task of this worker.",
        lambda m: {(): m.celery_dropped},
    ),
    Metric("gauge", "sortgate_pool_processes", (), "Pool processes.", lambda m: {(): m.processes}),
    Metric("gauge", "sortgate_pool_busy", (), "Pool processes that have a batch.", lambda m: {(): m.busy}),
    Metric(
        "gauge", "sortgate_worker_info", ("version",),
        "1, with Sortgate's version.", lambda _: {(version("sortgate"),): 1},
    ),
    Metric(
        "gauge", "sortgate_bundle_info", ("queue", "model", "fingerprint"),
        "1, with the bundle that answers the queue, once it is loaded.", lambda m: dict.fromkeys(m.served, 1),
    ),
)  # fmt: skip

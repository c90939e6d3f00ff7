"""The demo's traffic: streams texts through a queue and accounts for every one of them."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sortgate import Client
from sortgate.audit import QueueAudit, audit
from sortgate.errors import ClientError, ResultError
from sortgate.types import Result

_CHUNK = 500
#: Seconds of listening after the last expected result: a duplicate would come now.
_AFTER_S = 1.0
#: Seconds without any result after which what is still owed counts as lost.
_SILENCE_S = 60.0


@dataclass
class Traffic:
    """What became of the streamed texts.

    Attributes:
        results: one result a text, in the order of the texts; None where none came.
        audit: attempted, ok, lost, unexpected and duplicated, counted from every result that was seen.
        seconds: from the first enqueueing to the last result.
        latencies_ms: enqueueing to result as the worker reported it, while the queue was full.
    """

    results: list[Result | None]
    audit: QueueAudit
    seconds: float
    latencies_ms: list[float] = field(default_factory=list)

    @property
    def texts_per_s(self) -> float:
        """Rate over the whole run."""
        return self.audit.ok / self.seconds if self.seconds else 0.0


def stream_texts(
    url: str,
    queue: str,
    texts: Sequence[str],
    *,
    on_progress: Callable[[int], object],
    check: Callable[[], None],
) -> Traffic:
    """Enqueue all texts as fast as Redis takes them while reading the results of the queue.

    Args:
        on_progress: called with the number of distinct texts answered so far.
        check: called while waiting; raises when the workers are gone.

    Raises:
        ClientError: Redis broke off, or the queue stayed full.
    """
    run = secrets.token_hex(4)
    ids = [f"{run}-{i}" for i in range(len(texts))]
    producer = _Producer(url, queue, ids, texts)
    seen: list[str] = []
    first: dict[str, Result] = {}
    started = last = time.perf_counter()
    producer.start()
    try:
        with Client(url, queue=queue) as client:
            while len(first) < len(ids) and producer.error is None:
                # The iterator is never left early: the result it stands at would be given out again.
                for result in client.results(timeout=2.0, max=min(_CHUNK, len(ids) - len(first))):
                    seen.append(result.id)
                    first.setdefault(result.id, result)
                    last = time.perf_counter()
                on_progress(len(first))
                check()
                if time.perf_counter() - last > _SILENCE_S:
                    break
            seen.extend(result.id for result in client.results(timeout=_AFTER_S))
    finally:
        producer.stop()
    if producer.error is not None:
        raise producer.error
    return Traffic(
        results=[first.get(ident) for ident in ids],
        audit=audit(ids, producer.acknowledged, seen),
        seconds=last - started,
        latencies_ms=[result.queued_ms + result.batch_ms for result in first.values()],
    )


class _Producer(threading.Thread):
    """Enqueues in the background, as another service would; has a client of its own."""

    def __init__(self, url: str, queue: str, ids: Sequence[str], texts: Sequence[str]) -> None:
        super().__init__(name="demo-producer", daemon=True)
        self.acknowledged: list[str] = []
        self.error: ClientError | None = None
        self._url, self._queue, self._ids, self._texts = url, queue, ids, texts
        self._stopped = threading.Event()

    def run(self) -> None:
        try:
            with Client(self._url, queue=self._queue) as client:
                for start in range(0, len(self._ids), _CHUNK):
                    if self._stopped.is_set():
                        return
                    part = slice(start, start + _CHUNK)
                    self.acknowledged += client.submit(self._texts[part], ids=self._ids[part])
        except ClientError as error:
            self.error = error

    def stop(self) -> None:
        self._stopped.set()
        self.join(10.0)


def round_trips_ms(url: str, queue: str, texts: Sequence[str]) -> list[float]:
    """Return the milliseconds of one ``Client.classify`` after the other, as seen from here; the queue is else idle."""
    times = []
    with Client(url, queue=queue) as client:
        for text in texts:
            started = time.perf_counter()
            with contextlib.suppress(ResultError):  # an answer, too
                client.classify(text, timeout=30.0)
            times.append((time.perf_counter() - started) * 1000.0)
    return times

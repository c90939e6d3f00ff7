"""celery-batches: one text a message, gathered in the worker into batches for one pool process each."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import worker_process_init
from celery_batches import Batches, SimpleRequest

#: Texts of a batch: measured beside 64 and 128, which are slower.
BATCH = 256

app = Celery("yardstick", broker=os.environ["BENCH_BROKER"], backend=os.environ["BENCH_RESULTS"])
app.conf.update(
    task_acks_late=True,
    # it must hold as many messages as all processes have batches for, or the last batch waits for the interval
    worker_prefetch_multiplier=2 * BATCH,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
    result_expires=3600,
)
_classifiers: list[Any] = []


@worker_process_init.connect
def load(**_: Any) -> None:
    """Load the bundle once a process, after the fork, on one thread."""
    from sortgate import Classifier

    _classifiers.append(Classifier.load(os.environ["BENCH_BUNDLE"], threads=1))


@app.task(base=Batches, name="yardstick.classify", flush_every=BATCH, flush_interval=0.05)
def classify(requests: list[SimpleRequest]) -> None:
    """Classify the texts of a batch, and store the results, which celery-batches leaves to the task."""
    made = _classifiers[0]([request.args[0] for request in requests])
    for request, prediction in zip(requests, made, strict=True):
        app.backend.mark_as_done(request.id, {"label": prediction.label, "score": prediction.score}, request=request)

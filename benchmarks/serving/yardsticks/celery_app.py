"""What a capable engineer writes without Sortgate's streams: the bundle behind a Celery task, one text or many.

Settings are a careful author's: late acknowledgement, prefork, JSON, no prefetching beyond need, results stored.
"""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import worker_process_init

app = Celery("yardstick", broker=os.environ["BENCH_BROKER"], backend=os.environ["BENCH_RESULTS"])
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=4,
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


@app.task(name="yardstick.classify")
def classify(text: str) -> dict[str, Any]:
    """Classify one text."""
    [prediction] = _classifiers[0]([text])
    return {"label": prediction.label, "score": prediction.score}


@app.task(name="yardstick.classify_many")
def classify_many(texts: list[str]) -> list[dict[str, Any]]:
    """Classify the texts of one task."""
    return [{"label": made.label, "score": made.score} for made in _classifiers[0](texts)]

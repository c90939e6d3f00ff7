"""The yardstick: the same bundle behind a hand-written Celery task, one text a task, results stored.

Settings are what a careful author would choose: late acknowledgement, prefork, JSON, no prefetching beyond need.
"""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import worker_process_init

app = Celery("yardstick", broker=os.environ["BENCH_REDIS_URL"], backend=os.environ["BENCH_REDIS_URL"])
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=4,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
    result_expires=600,
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

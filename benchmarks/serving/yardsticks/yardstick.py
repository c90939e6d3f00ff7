"""What both of Celery's yardsticks share: an application with a careful author's settings, and the bundle.

Late acknowledgement, prefork, JSON, no prefetching beyond need, results stored; the bundle is loaded once a process,
after the fork, on one thread.
"""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import worker_process_init

_classifiers: list[Any] = []


def create_app(prefetch: int) -> Celery:
    """Return the application; ``prefetch`` messages a process are taken from the broker."""
    app = Celery("yardstick", broker=os.environ["BENCH_BROKER"], backend=os.environ["BENCH_RESULTS"])
    app.conf.update(
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=prefetch,
        worker_send_task_events=False,
        broker_connection_retry_on_startup=True,
        result_expires=3600,
    )
    return app


@worker_process_init.connect
def load(**_: Any) -> None:
    """Load the bundle."""
    from sortgate import Classifier

    _classifiers.append(Classifier.load(os.environ["BENCH_BUNDLE"], threads=1))


def answers(texts: list[str]) -> list[dict[str, Any]]:
    """Return label and score of each text."""
    return [{"label": made.label, "score": made.score} for made in _classifiers[0](texts)]

"""The Celery task for services that already speak Celery; kombu can lose a message while popping it, streams cannot."""

from __future__ import annotations

from typing import Any

import msgspec
from celery import Celery, Task

from sortgate import keys
from sortgate.errors import ConfigurationError, MessageError
from sortgate.types import Prediction
from sortgate.worker.child import classifier_for

MAX_TEXTS = 10_000


def register(app: Celery) -> None:
    """Register ``sortgate.classify`` with ``app``."""
    app.task(
        classify, name=keys.CELERY_TASK, bind=True, acks_late=True, reject_on_worker_lost=True, ignore_result=False
    )


def classify(self: Task, texts: str | list[str], model: str | None = None) -> dict[str, Any] | list[dict[str, Any]]:
    """Classify one text (returns a dict) or several (returns a list of dicts, in order).

    The bundle is the one that serves the Celery queue ``sortgate.<queue>`` on which the task came.

    Args:
        texts: a text or a list of texts.
        model: version, ``name/version`` or fingerprint that must answer.

    Raises:
        ValueError: the arguments are not texts, or another model serves the queue.
    """
    queue = (self.request.delivery_info or {}).get("routing_key") or ""
    try:
        classifier = classifier_for(queue.removeprefix(keys.celery_queue("")))
        batch: list[str] = [texts] if isinstance(texts, str) else texts
        if not isinstance(batch, list) or not all(isinstance(text, str) for text in batch):
            raise MessageError("bad_field", "texts must be a string or a list of strings")
        if len(batch) > MAX_TEXTS:
            raise MessageError("bad_field", f"{len(batch)} texts in one task; the limit is {MAX_TEXTS}")
        if model is not None and model not in classifier.identities:
            raise MessageError("wrong_model", f"this queue is served by {classifier.model_name}")
    except (ConfigurationError, MessageError) as error:
        # a builtin: a result backend hands exceptions to callers that do not have Sortgate
        raise ValueError(str(error)) from None
    answers = [_as_dict(prediction, classifier.model_name, classifier.fingerprint) for prediction in classifier(batch)]
    return answers[0] if isinstance(texts, str) else answers


def _as_dict(prediction: Prediction, model: str, fingerprint: str) -> dict[str, Any]:
    error = msgspec.to_builtins(prediction.error)
    return {
        "status": "ok" if error is None else "error",
        "label": prediction.label,
        "score": prediction.score,
        "labels": [[item.label, item.score] for item in prediction.labels],
        "error": error,
        "model": model,
        "fingerprint": fingerprint,
    }

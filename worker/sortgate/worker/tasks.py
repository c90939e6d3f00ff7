"""The Celery task for services that already speak Celery; kombu can lose a message while popping it, streams cannot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from celery import Celery, Task

from sortgate import keys
from sortgate.errors import ConfigurationError
from sortgate.types import Prediction
from sortgate.worker.child import classifier_for, ready

MAX_TEXTS = 10_000
TAKES = f"{keys.CELERY_TASK} takes a text or a list of texts, and optionally the model that must answer"


class ClassifyTask(Task):  # type: ignore[misc]  # Celery is untyped
    """A task whose arguments may have any name: calling Celery's fails on one named ``self``, with a traceback."""

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Run it."""
        return self.run(*args, **kwargs)


def register(app: Celery) -> None:
    """Register ``sortgate.classify`` with ``app``."""
    app.task(
        classify,
        base=ClassifyTask,
        name=keys.CELERY_TASK,
        bind=True,
        acks_late=True,
        reject_on_worker_lost=True,
        ignore_result=False,
        throws=(ValueError,),  # a caller's mistake: one line in the log, and no traceback
    )


def classify(self: Task, /, *args: Any, **kwargs: Any) -> dict[str, Any] | list[dict[str, Any]]:
    """Classify one text (returns a dict) or several (returns a list of dicts, in order).

    The bundle is the one that serves the Celery queue ``sortgate.<queue>`` on which the task came.

    Args:
        args: ``texts``, a text or a list of texts; then ``model``, the version, ``name/version`` or fingerprint that
            must answer. Whatever a caller gives comes here: Python's own error would hold the names it gave.
        kwargs: the same, by name.

    Raises:
        ValueError: the arguments are not texts, or another model serves the queue. It holds nothing that the caller
            chose, since it is logged, and is a builtin: a result backend hands it to callers without Sortgate.
        RuntimeError: the texts cannot be classified here, by no fault of the caller.
    """
    texts, model = _arguments(args, kwargs)
    queue = str((self.request.delivery_info or {}).get("routing_key")).removeprefix(keys.celery_queue(""))
    try:
        if queue not in (name for name, _, _ in ready()):
            raise ValueError("the task's routing key is that of no queue that this worker serves")
        classifier = classifier_for(queue)
    except ConfigurationError as error:
        raise RuntimeError(str(error)) from None
    if model is not None and model not in classifier.identities:
        raise ValueError(f"this queue is served by {classifier.model_name}")
    batch = [texts] if isinstance(texts, str) else texts
    try:
        predictions = classifier(batch)
    except ValueError as error:  # no mistake of the caller's, so it is logged with its traceback
        raise RuntimeError("the texts could not be classified") from error
    answers = [_as_dict(prediction, classifier.model_name, classifier.fingerprint) for prediction in predictions]
    return answers[0] if isinstance(texts, str) else answers


def _arguments(args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[str | list[str], str | None]:
    """Return texts and model.

    Raises:
        ValueError: they are something else; says what of it, and nothing that was in it.
    """
    names = ("texts", "model")
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    if len(args) > len(names):
        raise ValueError(f"{TAKES}; got {len(args) + len(kwargs)} arguments")
    if not given.keys() <= set(names):
        raise ValueError(f"{TAKES}; got an argument that is named neither texts nor model")
    if len(given) < len(args) + len(kwargs):
        raise ValueError(f"{TAKES}; got texts or model twice")
    if "texts" not in given:
        raise ValueError(f"{TAKES}; got no texts")
    texts, model = given["texts"], given.get("model")
    if not isinstance(texts, str | list):
        raise ValueError(f"{TAKES}; got texts of type {type(texts).__name__}")
    for number, text in enumerate(texts if isinstance(texts, list) else []):
        if not isinstance(text, str):
            raise ValueError(f"{TAKES}; got a list whose item {number} is of type {type(text).__name__}")
    if isinstance(texts, list) and len(texts) > MAX_TEXTS:
        raise ValueError(f"{len(texts)} texts in one task; the limit is {MAX_TEXTS}")
    if model is not None and not isinstance(model, str):
        raise ValueError(f"{TAKES}; got a model of type {type(model).__name__}")
    return texts, model


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

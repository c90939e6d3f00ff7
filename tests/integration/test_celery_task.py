"""The Celery task called wrongly, or by a wrong name: the caller is told, and the log holds nothing of the caller's."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery, signals
from celery.exceptions import NotRegistered

from sortgate import keys
from sortgate.celery import create_app
from sortgate.settings import Settings
from sortgate.worker.consumer import Consumer
from waiting import wait_for

QUEUE = keys.celery_queue("toy")
SECRET = "whatshouldnotbelogged"
TAKES = "sortgate.classify takes a text or a list of texts, and optionally the model that must answer"
MISTAKES: list[tuple[list[Any], dict[str, Any], str]] = [
    ([], {}, "got no texts"),
    ([3], {}, "got texts of type int"),
    ([None], {}, "got texts of type NoneType"),
    ([{SECRET: 1}], {}, "got texts of type dict"),
    ([[SECRET, 3]], {}, "got a list whose item 1 is of type int"),
    ([SECRET, "b", "c", "d"], {}, "got 4 arguments"),
    ([SECRET], {SECRET: 1}, "got an argument that is named neither texts nor model"),
    ([SECRET], {"self": 1}, "got an argument that is named neither texts nor model"),
    ([SECRET], {"texts": "b"}, "got texts or model twice"),
    ([SECRET, [SECRET]], {}, "got a model of type list"),
    ([], {"model": SECRET}, "got no texts"),
]


def logged(worker: Any, task_id: str) -> list[str]:
    """Return the lines about a task, but for those of level DEBUG."""
    return [line for line in worker.output().splitlines() if task_id in line and ": DEBUG/" not in line]


def test_a_wrong_call_is_answered_and_one_line_in_the_log(start_worker: Callable[..., Any], redis_url: str) -> None:
    worker = start_worker()
    app = Celery(broker=redis_url, backend=redis_url)

    def check(args: list[Any], kwargs: dict[str, Any], expected: str) -> None:
        sent = app.send_task(keys.CELERY_TASK, args, kwargs, queue=QUEUE)
        with pytest.raises(ValueError) as caught:
            sent.get(timeout=20)
        assert expected in str(caught.value)
        wait_for(lambda: len(logged(worker, sent.id)) == 2, 10.0)
        received, raised = logged(worker, sent.id)
        assert received.endswith(f"Task {keys.CELERY_TASK}[{sent.id}] received")
        assert ": INFO/" in raised
        assert raised.endswith(f"raised expected: {caught.value!r}")
        assert SECRET not in raised

    for args, kwargs, what in MISTAKES:
        check(args, kwargs, f"{TAKES}; {what}")
    check([["a"] * 10_001], {}, "10001 texts in one task; the limit is 10000")
    check(["hello", SECRET], {}, "this queue is served by toy/")
    assert app.send_task(keys.CELERY_TASK, ["hello", None], queue=QUEUE).get(timeout=20)["status"] == "ok"
    [answer] = app.send_task(keys.CELERY_TASK, kwargs={"texts": ["hello"]}, queue=QUEUE).get(timeout=20)
    assert app.send_task(keys.CELERY_TASK, [["hello"], answer["model"]], queue=QUEUE).get(timeout=20) == [answer]
    assert "Traceback" not in worker.output()


def test_an_unregistered_task_is_answered_and_one_line_in_the_log(
    start_worker: Callable[..., Any], redis_url: str
) -> None:
    worker = start_worker()
    before = len(worker.output())
    app = Celery(broker=redis_url, backend=redis_url)
    with pytest.raises(NotRegistered, match=SECRET):
        app.send_task(f"other.{SECRET}", [SECRET], queue=QUEUE).get(timeout=20)
    assert app.send_task(keys.CELERY_TASK, ["hello"], queue=QUEUE).get(timeout=20)["status"] == "ok"
    [line] = [line for line in worker.output()[before:].splitlines() if ": ERROR/" in line]
    assert line.endswith("dropped an entry of a Celery queue: a task that is not registered here; 1 so far")
    assert SECRET not in worker.output()
    assert "Traceback" not in worker.output()


@pytest.mark.parametrize("protocol", [1, 2])
def test_an_unregistered_task_does_all_else_that_it_does_with_celery(protocol: int) -> None:
    called: list[tuple[str, Any]] = []
    task = {"task": "other.task", "id": "17"}
    message = SimpleNamespace(
        headers=task if protocol == 2 else {},
        payload=[[], {}, None] if protocol == 2 else task,
        properties={"correlation_id": "17"},
        reject_log_error=lambda *_: called.append(("rejected", None)),
    )

    def mark_as_failure(task_id: str, exc: Exception, request: Any) -> None:
        called.append((task_id, (repr(exc), request.name, request.correlation_id)))

    consumer: Any = Consumer.__new__(Consumer)
    consumer.app = SimpleNamespace(backend=SimpleNamespace(mark_as_failure=mark_as_failure))
    consumer.connection_errors = ()
    consumer.event_dispatcher = SimpleNamespace(send=lambda kind, **fields: called.append((kind, fields)))
    consumer._refuse = lambda what, error: called.append((what, error))

    def unknown(**told: Any) -> None:
        called.append(("task_unknown", (told["name"], told["id"], type(told["exc"]))))

    signals.task_unknown.connect(unknown)
    try:
        consumer.on_unknown_task(None, message, KeyError("other.task"))
    finally:
        signals.task_unknown.disconnect(unknown)
    assert called == [
        ("17", (repr(NotRegistered("other.task")), "other.task", "17")),
        ("a task that is not registered here", None),
        ("rejected", None),
        ("task-failed", {"uuid": "17", "exception": "NotRegistered('other.task')"}),
        ("task_unknown", ("other.task", "17", KeyError)),
    ]


def test_queues_share_no_exchange() -> None:
    """Else what is sent to the first queue's exchange goes to all of them."""
    app = create_app(Settings(queues=("tickets", "mail")))
    declared = {name: (queue.exchange.name, queue.routing_key) for name, queue in app.amqp.queues.items()}
    assert declared == {name: (name, name) for name in ("sortgate.tickets", "sortgate.mail")}

"""S1: pickles, YAML and unknown content types as messages: refused, counted, never unpickled, never logged."""

from __future__ import annotations

import base64
import json
import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audited import Audit
from scraping import free_port, scrape
from sortgate import keys
from waiting import wait_for

SECRET = "whatshouldnotbelogged"


class Canary:
    """Unpickling it creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path} # {SECRET}",)


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    (tmp_path / "audit").mkdir()
    return Audit(tmp_path / "audit")


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


#: What the pool itself unpickles: the functions that Sortgate gives it, by name. Nothing of this comes from Redis.
OWN = {"sortgate.worker.child.ready", "sortgate.worker.child.run_batch"}


def check_nothing_ran(audit: Audit, canary: Path, worker: Any) -> None:
    assert "sortgate.worker.child.ready" in audit.unpickled, "the audit hook does not see the pool's processes"
    assert audit.unpickled <= OWN
    assert not canary.exists()
    assert SECRET not in worker.output()
    assert worker.process.poll() is None


def test_the_canary_sings(canary: Path) -> None:
    pickle.loads(pickle.dumps(Canary(canary)))
    assert canary.exists()


def test_stream(start_worker: Callable[..., Any], redis: Any, audit: Audit, canary: Path) -> None:
    worker = start_worker(**audit.env)
    pickled = pickle.dumps(Canary(canary))
    yaml = f"!!python/object/apply:os.system ['touch {canary}'] # {SECRET}"
    good = {"v": "1", "text": "hello world"}
    messages: list[tuple[dict[str, Any], str, str | None]] = [
        ({**good, "text": pickled}, "rejected", "not_utf8"),
        ({**good, "v": pickled}, "rejected", "not_utf8"),
        ({**good, "v": yaml}, "rejected", "bad_version"),
        ({**good, "deadline": yaml}, "rejected", "bad_field"),
        ({**good, "reply": yaml}, "rejected", "bad_reply"),
        ({**good, "meta": pickled}, "rejected", "not_utf8"),
        ({"body": pickled, "content-type": "application/x-python-serialize"}, "rejected", "bad_version"),
        ({"v": "1", "body": yaml, "content-type": "application/x-yaml"}, "rejected", "no_text"),
        # a text is a text, and a field that wire format 1 does not know is passed over
        ({**good, "text": yaml}, "ok", None),
        ({**good, "content-type": "application/x-python-serialize", "body": pickled}, "ok", None),
        ({**good, pickled: pickled}, "ok", None),
    ]
    ids = [redis.xadd(keys.requests("toy"), fields) for fields, _, _ in messages]
    deadline = time.monotonic() + 30
    while redis.xlen(keys.results("toy")) < len(messages) and time.monotonic() < deadline:
        time.sleep(0.05)
    answers = {fields["id"]: fields for _, fields in redis.xrange(keys.results("toy"))}
    assert [(answers[i]["status"], answers[i].get("code")) for i in ids] == [case[1:] for case in messages]
    refused = sum(status == "rejected" for _, status, _ in messages)
    assert redis.hget(keys.counters("toy"), "rejected") == str(refused)
    assert SECRET not in str([{**fields, "meta": ""} for fields in answers.values()])
    check_nothing_ran(audit, canary, worker)


def envelope(body: bytes | str, content_type: str, headers: Any = None, **properties: Any) -> str:
    """Return a message as kombu's Redis transport writes it."""
    data = body.encode() if isinstance(body, str) else body
    task = {"lang": "py", "task": keys.CELERY_TASK, "id": "1", "argsrepr": SECRET}
    return json.dumps(
        {
            "body": base64.b64encode(data).decode(),
            "content-type": content_type,
            "content-encoding": "utf-8",
            "headers": task if headers is None else headers,
            "properties": {
                "correlation_id": "1",
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": keys.celery_queue("toy")},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": os.urandom(8).hex(),
                **properties,
            },
        }
    )


def celery_messages(canary: Path) -> list[bytes | str]:
    """Return messages of which none is a task of this worker."""
    pickled = pickle.dumps(Canary(canary))
    yaml = f"!!python/object/apply:os.system ['touch {canary}'] # {SECRET}"
    good, json_type = f'[["{SECRET}"], {{}}, {{}}]', "application/json"
    first = f'{{"task": "os.system", "id": "1", "args": ["{SECRET}"], "kwargs": {{}}}}'
    misshapen = [
        f'["{SECRET}", 2, 3]', f'[["{SECRET}"], 2, null]', f'[["{SECRET}"], {{}}, 3]', f'[["{SECRET}"], {{}}, [1]]',
        f'["{SECRET}", {{}}, {{}}]', f'[["{SECRET}"], {{}}]', f'["{SECRET}", "args", {{}}]', '{"a": 1, "b": 2, "c": 3}',
    ]  # fmt: skip
    misshapen_first = [
        json.dumps({"task": keys.CELERY_TASK, "id": "1", **more})
        for more in ({"args": SECRET}, {"args": [SECRET], "kwargs": [1]}, {"args": 3}, {"args": [], "timelimit": "ab"})
    ]
    task = {"task": keys.CELERY_TASK, "id": "1"}
    limits = [[None, limit] for limit in (10**400, -1, float("nan"), float("inf"), 1e300)]
    limits += [[limit, None] for limit in (10**400, -1, float("nan"))]
    moments = ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00", 3]
    afterwards = [
        {"callbacks": 3}, {"errbacks": 3}, {"chain": [3]}, {"callbacks": [{}]}, {"chord": [1]},
        {"errbacks": [{"task": 3}]},
    ]  # fmt: skip
    contents = [
        (pickled, "application/x-python-serialize"), (pickled, "application/data"), (yaml, "application/x-yaml"),
        (SECRET, "application/x-unheard-of"), (SECRET, json_type), (b"\xff", json_type), (b"[" * 100_000, json_type),
    ]  # fmt: skip
    return [
        *(envelope(*content) for content in contents[:4]),
        *(envelope(*content, headers={}) for content in contents),
        envelope(good, json_type, headers={}),
        envelope(good, json_type, headers=SECRET),
        envelope(good, json_type, headers={"task": f"os.{SECRET}", "id": "1", "argsrepr": SECRET}),
        # an id that no answer can be stored under
        envelope(good, json_type, headers={"task": "os.system", "id": [SECRET]}),
        envelope(good, json_type, headers={"task": "os.system", "id": f"{SECRET}\ud800"}),
        envelope(good, json_type, headers={"task": [SECRET], "id": "1"}),
        envelope(good, json_type, headers={"task": keys.CELERY_TASK}),
        envelope(good, json_type, headers={"task": keys.CELERY_TASK, "id": "1", "eta": SECRET}),
        # values of other types than Celery takes for granted: with the last of them it ends, elsewhere it breaks
        *(envelope(body, json_type) for body in misshapen),
        *(envelope(body, json_type, headers={}) for body in misshapen_first),
        envelope(misshapen_first[0], json_type),
        envelope(good, json_type, headers={"task": keys.CELERY_TASK, "id": [SECRET]}),
        envelope(good, json_type, headers={"task": keys.CELERY_TASK, "id": "1", "timelimit": [None, SECRET]}),
        envelope(good, json_type, headers={"task": keys.CELERY_TASK, "id": "1", "timelimit": "ab"}),
        *(envelope(good, json_type, headers={**task, "timelimit": each}) for each in limits),
        *(envelope(good, json_type, headers={**task, name: each}) for each in moments for name in ("eta", "expires")),
        *(envelope(json.dumps([[SECRET], {}, each]), json_type, headers=task) for each in afterwards),
        envelope(json.dumps({**task, "kwargs": {"texts": SECRET}, "callbacks": 3}), json_type, headers={}),
        envelope(first, json_type, headers={}),
        envelope(first.replace("os.system", keys.CELERY_TASK).replace("{}", "3"), json_type, headers={}),
        envelope(good, json_type, body_encoding="none such"),
        # entries that are no messages at all: each of these by itself ends a plain Celery worker
        pickled, yaml, SECRET, b"", b"\xff\xfe", b"1", b"null", b"[]", b"{}", b'{"properties": null}', b"[" * 100_000,
        envelope(good, json_type).replace('"body": "', '"body": "A'),
    ]  # fmt: skip


def test_celery_queue(start_worker: Callable[..., Any], redis: Any, audit: Audit, canary: Path) -> None:
    port = free_port()
    worker = start_worker(**audit.env, SORTGATE_METRICS_PORT=str(port))
    messages = celery_messages(canary)
    for message in messages:
        redis.lpush(keys.celery_queue("toy"), message)
    deadline = time.monotonic() + 60
    last = f"; {len(messages)} so far"
    while last not in worker.output() and time.monotonic() < deadline:
        assert worker.process.poll() is None, worker.output()[-3000:]
        time.sleep(0.05)
    assert worker.output().count("dropped an entry of a Celery queue") == len(messages)
    assert last in worker.output()
    assert "Traceback" not in worker.output()
    assert scrape(port)["sortgate_celery_messages_dropped_total"] == {"": len(messages)}
    assert redis.llen(keys.celery_queue("toy")) == redis.hlen("unacked") == 0
    check_nothing_ran(audit, canary, worker)


def test_tasks_are_answered_after_them(
    start_worker: Callable[..., Any], redis: Any, redis_url: str, canary: Path
) -> None:
    from celery import Celery

    worker = start_worker()
    for message in celery_messages(canary):
        redis.lpush(keys.celery_queue("toy"), message)
    app = Celery(broker=redis_url, backend=redis_url)
    answer = app.send_task(keys.CELERY_TASK, ["hello world"], queue=keys.celery_queue("toy")).get(timeout=60)
    assert answer["status"] == "ok"
    assert "hello world" not in worker.output(), "at level debug, too"


@pytest.mark.parametrize("protocol", [1, 2])
def test_a_task_by_name_of_its_argument_is_answered_without_its_own_name_in_the_log(
    start_worker: Callable[..., Any], redis: Any, protocol: int
) -> None:
    worker = start_worker()
    task = {"task": keys.CELERY_TASK, "id": "by-name", "shadow": SECRET, "argsrepr": SECRET, "timelimit": [60, 30.5]}
    arguments = {"texts": "hello world"}
    body = {**task, "kwargs": arguments} if protocol == 1 else [[], arguments, {"callbacks": None, "errbacks": []}]
    headers = {} if protocol == 1 else task
    redis.lpush(keys.celery_queue("toy"), envelope(json.dumps(body), "application/json", headers=headers))
    wait_for(lambda: redis.get("celery-task-meta-by-name"), what="the task is answered")
    found = json.loads(redis.get("celery-task-meta-by-name"))
    assert (found["status"], found["result"]["status"]) == ("SUCCESS", "ok")
    assert SECRET not in worker.output()

"""A real Celery worker on a real Redis, driven by the client, by raw Redis commands and by Celery itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py

from sortgate import Classifier, Client, keys
from sortgate.audit import audit
from sortgate.errors import ResultError
from waiting import wait_for

StartWorker = Callable[..., Any]
TEXTS = [f"hello world number {i} please {'help ' * (i % 17)}" for i in range(400)]


def test_stream_gives_the_labels_of_the_classifier(start_worker: StartWorker, redis_url: str, toy_bundle: Path) -> None:
    start_worker(concurrency=2)
    expected = Classifier.load(toy_bundle)(TEXTS)
    with Client(redis_url, queue="toy") as client:
        results = list(client.stream(TEXTS, ordered=True))
    assert [r.status for r in results] == ["ok"] * len(TEXTS)
    assert [r.label for r in results] == [p.label for p in expected]
    for result, prediction in zip(results, expected, strict=True):
        assert result.score == pytest.approx(prediction.score, abs=2e-5)


def test_submit_and_results(start_worker: StartWorker, redis_url: str, redis: redis_py.Redis) -> None:
    with Client(redis_url, queue="toy") as client:
        ids = client.submit(TEXTS)
        start_worker(concurrency=2)
        answered = [r.id for r in client.results(max=len(ids), timeout=30)]
        assert audit(ids, ids, answered).valid
    assert redis.xlen(keys.requests("toy")) == 0
    assert redis.xpending(keys.requests("toy"), keys.GROUP)["pending"] == 0
    assert redis.xlen(keys.results("toy")) == 0


def test_raw_redis_commands_are_enough(start_worker: StartWorker, redis: redis_py.Redis) -> None:
    """What docs/wire-format.md tells a producer without Sortgate to do."""
    start_worker()
    reply = "sortgate:{toy}:reply:raw-1"
    redis.execute_command("XGROUP", "CREATE", reply, "me", "$", "MKSTREAM")
    redis.execute_command(
        "XADD", "sortgate:{toy}:requests", "*", "v", "1", "text", "hello world", "id", "1", "reply", reply
    )
    redis.execute_command("XADD", "sortgate:{toy}:requests:high", "*", "v", "1", "text", "hello", "meta", "mine")
    redis.execute_command("XADD", "sortgate:{toy}:requests", "*", "text", "no version")
    [[_, [(_, fields)]]] = redis.xread({reply: "0"}, block=10_000)
    assert (fields["v"], fields["id"], fields["status"]) == ("1", "1", "ok")
    assert json.loads(fields["labels"])[0][0] == fields["label"]
    wait_for(lambda: redis.xlen("sortgate:{toy}:results") == 2, 30.0)
    rest = [fields for _, fields in redis.xrange("sortgate:{toy}:results")]
    assert {(f["status"], f.get("code"), f.get("meta")) for f in rest} == {
        ("ok", None, "mine"),
        ("rejected", "bad_version", None),
    }


def test_two_queues_with_two_bundles(start_worker: StartWorker, redis_url: str) -> None:
    start_worker("toy,other=second")
    with Client(redis_url, queue="toy") as one, Client(redis_url, queue="other") as two:
        first, second = one.classify("hello world", timeout=20), two.classify("hello world", timeout=20)
    assert first.model.startswith("toy/")
    assert second.model.startswith("second/")
    assert first.fingerprint != second.fingerprint


def test_classify_raises_for_a_text_that_fails(start_worker: StartWorker, redis_url: str) -> None:
    start_worker()
    with Client(redis_url, queue="toy") as client, pytest.raises(ResultError, match="empty_text"):
        client.classify("   ", timeout=20)


def test_one_ctrl_c_is_a_clean_stop(start_worker: StartWorker) -> None:
    worker = start_worker()
    assert worker.stop(signal.SIGINT) == 0


def test_a_second_worker_joins_and_leaves(start_worker: StartWorker, redis_url: str, redis: redis_py.Redis) -> None:
    first = start_worker()
    with Client(redis_url, queue="toy") as client:
        ids = client.submit(TEXTS * 20)
        second = start_worker()

        def done() -> dict[int, int]:
            beats = (json.loads(beat) for beat in redis.hvals(keys.workers("toy")))
            return {beat["pid"]: beat["done"] for beat in beats}

        def both_answered() -> bool:
            ids.extend(client.submit(TEXTS))  # however fast the machine is, there is work for both
            time.sleep(0.1)
            return done().get(second.pid, 0) > 0 and done().get(first.pid, 0) > 0

        wait_for(both_answered, 30.0)
        assert second.stop() == 0
        answered = [r.id for r in client.results(max=len(ids), timeout=60)]
    found = audit(ids, ids, answered)
    assert found.valid, found


REFUSALS = [
    ({"queues": "toy,missing"}, "missing", "queue 'missing'"),
    ({"queues": "toy,toy"}, "twice", "named twice"),
    ({"queues": "Bad Name"}, "queue name", "queue name 'Bad Name'"),
    ({"url": "redis://127.0.0.1:1/0"}, "absent", "cannot be used"),
    ({"url": "redis://:secret@127.0.0.1:1/0"}, "password", "cannot be used"),
    ({"url": "http://127.0.0.1"}, "scheme", "redis://"),
    ({"SORTGATE_LEASE_S": "soon"}, "setting", "SORTGATE_LEASE_S='soon'"),
]


@pytest.mark.parametrize(("options", "expected"), [(o, e) for o, _, e in REFUSALS], ids=[i for _, i, _ in REFUSALS])
def test_refuses_to_start_in_one_line(start_worker: StartWorker, options: dict[str, str], expected: str) -> None:
    worker = start_worker(ready=False, **options)
    assert worker.process.wait(20) not in (0, None)
    [line] = worker.output().strip().splitlines()
    assert line.startswith("sortgate: error: ")
    assert expected in line
    assert "secret" not in line


def test_refuses_other_pools(redis_url: str, toy_models: Path) -> None:
    env = {
        **os.environ,
        "SORTGATE_REDIS_URL": redis_url,
        "SORTGATE_MODELS_DIR": str(toy_models),
        "SORTGATE_QUEUES": "toy",
    }
    command = [sys.executable, "-m", "celery", "-A", "sortgate.celery", "worker", "--pool", "threads"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 78
    assert "--pool prefork" in done.stderr
    assert "Traceback" not in done.stderr


def test_plain_celery_command_serves_too(redis_url: str, toy_models: Path, tmp_path: Path) -> None:
    env = {
        **os.environ,
        "SORTGATE_REDIS_URL": redis_url,
        "SORTGATE_MODELS_DIR": str(toy_models),
        "SORTGATE_QUEUES": "toy",
    }
    command = [sys.executable, "-m", "celery", "-A", "sortgate.celery", "worker", "-c", "1"]
    log = tmp_path / "celery.log"
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=env, stdout=file, stderr=file, start_new_session=True)
    try:
        with Client(redis_url, queue="toy") as client:
            assert client.classify("hello world", timeout=30).status == "ok"
    finally:
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(30) == 0, log.read_text()


CELERY_CALLER = """
import json, sys
from celery import Celery, chord, group, signature
assert "sortgate" not in sys.modules
url = sys.argv[1]
app = Celery(broker=url, backend=url)
def call(texts): return signature("sortgate.classify", args=[texts], queue="sortgate.toy", app=app)
one = app.send_task("sortgate.classify", ["hello world"], queue="sortgate.toy").get(timeout=20)
many = group(call([f"text {i}", f"hello {i}"]) for i in range(5))().get(timeout=20)
collected = chord([call("first text"), call("second text")])(
    signature("sortgate.classify", args=[["a body text"]], queue="sortgate.toy", app=app, immutable=True)
).get(timeout=20)
try:
    app.send_task("sortgate.classify", [17], queue="sortgate.toy").get(timeout=20)
except Exception as error:
    refused = str(error)
print(json.dumps([one, many, collected, refused]))
"""


def test_celery_tasks_by_name_without_sortgate_installed(
    start_worker: StartWorker, redis_url: str, tmp_path: Path
) -> None:
    start_worker()
    script = tmp_path / "caller.py"
    script.write_text(CELERY_CALLER)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(script), redis_url],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    one, many, collected, refused = json.loads(done.stdout)
    assert one["status"] == "ok"
    assert one["label"] == one["labels"][0][0]
    assert [len(answers) for answers in many] == [2] * 5
    assert len(collected) == 1
    assert "got texts of type int" in refused

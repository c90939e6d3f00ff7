"""The same kills and cuts against a plain Celery task, set up as its documentation advises against losses.

What is counted is printed and stands in the table beside the rows W2 and W5: Celery's Redis transport takes a message
off its list (``BRPOP``) before it notes it down, and what breaks in between is gone (README, "Not promised").
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import redis as redis_py

from sortgate.audit import QueueAudit, audit
from sortgate.embedded import EmbeddedRedis
from sortgate.faults import ChaosProxy, Trigger
from waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

APP = """
import os
import redis
from celery import Celery

app = Celery("plain", broker=os.environ["BROKER"])
app.conf.update(
    task_acks_late=True, task_reject_on_worker_lost=True, worker_prefetch_multiplier=1, task_ignore_result=True,
    task_default_queue="plain", broker_connection_retry_on_startup=True, broker_connection_max_retries=None,
    broker_transport_options={
        "visibility_timeout": 5, "unacked_restore_throttle": 1, "socket_timeout": 2, "socket_connect_timeout": 2,
        "health_check_interval": 2, "retry_on_timeout": True,
    },
)
done = redis.Redis.from_url(os.environ["DONE"])

@app.task(name="plain.work")
def work(ident):
    done.rpush("done", ident)
"""

StartCelery = Callable[[str], subprocess.Popen[bytes]]


@pytest.fixture
def start_celery(redis_url: str, tmp_path: Path) -> Iterator[StartCelery]:
    """Start plain Celery workers of two processes."""
    (tmp_path / "plainapp.py").write_text(APP)
    workers: list[subprocess.Popen[bytes]] = []

    def start(broker: str) -> subprocess.Popen[bytes]:
        log = tmp_path / f"celery-{len(workers)}.log"
        paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
        with log.open("wb") as file:
            worker = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "plainapp", "worker", "-c", "2", "-l", "info",
                 "--without-mingle", "--without-gossip"],
                stdout=file, stderr=file, start_new_session=True, cwd=tmp_path,
                env={**os.environ, "PYTHONPATH": paths, "BROKER": broker, "DONE": redis_url},
            )  # fmt: skip
        workers.append(worker)
        wait_for(lambda: b" ready." in log.read_bytes(), timeout_s=180.0, what="Celery is ready")
        return worker

    yield start
    for worker in workers:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
        worker.wait(10)


def send(url: str, idents: list[str]) -> None:
    from celery import Celery

    with Celery(broker=url, set_as_current=False) as app:
        for ident in idents:
            app.send_task("plain.work", [ident], queue="plain")


def settle(redis: redis_py.Redis, idents: list[str]) -> QueueAudit:
    """Wait until Celery has nothing more to do, and count: what is lost is then nowhere in Redis either."""
    quiet_since, last = time.monotonic(), -1
    while time.monotonic() - quiet_since < 15.0:  # three visibility time-outs
        done = int(redis.llen("done"))
        if done != last or redis.llen("plain") or redis.hlen("unacked"):
            quiet_since, last = time.monotonic(), done
        time.sleep(0.2)
    return audit(idents, idents, redis.lrange("done", 0, -1))


def report(request: pytest.FixtureRequest, found: QueueAudit) -> None:
    print(f"plain Celery: {found}")
    request.node.user_properties.append(("fault", msgspec.structs.asdict(found)))


def test_celery_whose_worker_is_killed_like_w2(
    start_celery: StartCelery, redis_url: str, redis: redis_py.Redis, request: pytest.FixtureRequest
) -> None:
    chance = random.Random(1)
    idents = [str(number) for number in range(900)]
    for start in range(0, 900, 300):
        worker = start_celery(redis_url)
        send(redis_url, idents[start : start + 300])
        time.sleep(chance.uniform(0.0, 0.4))
        os.killpg(worker.pid, signal.SIGKILL)
    start_celery(redis_url)
    found = settle(redis, idents)
    assert found.unexpected == 0
    report(request, found)


def test_celery_whose_brpop_reply_is_cut_like_w5(
    start_celery: StartCelery,
    redis_server: EmbeddedRedis,
    redis_url: str,
    redis: redis_py.Redis,
    request: pytest.FixtureRequest,
) -> None:
    chance = random.Random(1)
    idents = [str(number) for number in range(10)]
    with ChaosProxy(redis_server.port) as proxy:
        start_celery(proxy.url)
        for ident in idents:
            # between the list's name and the end of the message, some 700 bytes later
            trigger = proxy.down.trigger = Trigger(b"*2\r\n$5\r\nplain\r\n", chance.randrange(0, 700))
            send(redis_url, [ident])
            wait_for(lambda trigger=trigger: trigger.fired, what=f"cut {ident}")
        found = settle(redis, idents)
    assert found.unexpected == 0
    report(request, found)

"""Redis's access control: the rights that docs/redis.md gives each role are enough, and no more than they say."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis as redis_py

from sortgate import Client, keys
from sortgate.celery import create_app
from sortgate.embedded import EmbeddedRedis
from sortgate.errors import BrokerError
from sortgate.faults import ChaosProxy
from sortgate.settings import Settings
from tls import server_context

PAGE = Path(__file__).parents[2] / "docs" / "redis.md"
QUEUE = "tickets"


class Guarded(NamedTuple):
    """A Redis with the users of the page: their URLs, and a link that may do all."""

    urls: dict[str, str]
    admin: redis_py.Redis

    def denied(self) -> list[tuple[str, str, str]]:
        """Return what was refused since the last call, but for what redis-py tells of itself: user, reason, object."""
        log: Any = self.admin.acl_log()
        self.admin.acl_log_reset()
        told = {"client", "client|setinfo", "client|maint_notifications"}  # 6.2 names no subcommand
        return [(item["username"], item["reason"], item["object"]) for item in log if item["object"] not in told]


@pytest.fixture
def guarded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Guarded]:
    """Give the URLs as they are, or, with the parameter ``tls``, those of a port that speaks nothing but TLS."""
    with (
        EmbeddedRedis(password="admin-password") as server,
        redis_py.Redis.from_url(server.url) as admin,
        contextlib.ExitStack() as stack,
    ):
        url = server.url
        if getattr(request, "param", "") == "tls":
            context, query = server_context(tmp_path)
            proxy = stack.enter_context(ChaosProxy(server.port, context))
            url = f"{proxy.url}?{query}".replace("://", "://:admin-password@")
        urls = {}
        for line in re.findall(r"^ACL SETUSER .*$", PAGE.read_text(), re.MULTILINE):
            words = line.split()
            admin.execute_command(*words)
            [password] = [word[1:] for word in words if word.startswith(">")]
            urls[words[2].removeprefix("sortgate-")] = url.replace(":admin-password@", f"{words[2]}:{password}@")
        yield Guarded(urls, admin)


def command(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "SORTGATE_REDIS_URL": url}
    return subprocess.run(
        [sys.executable, "-m", "sortgate", *arguments], env=env, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("guarded", ["plain", "tls"], indirect=True)
def test_the_rights_of_each_role_are_enough(guarded: Guarded, start_worker: Callable[..., Any]) -> None:
    options = {"SORTGATE_LEASE_S": "1", "SORTGATE_SWEEP_S": "0.3", "SORTGATE_RATE_LIMITS": f"{QUEUE}=100000"}
    worker = start_worker(f"{QUEUE}=toy", url=guarded.urls["worker"], **options)
    with Client(guarded.urls["client"], queue=QUEUE) as client:
        assert client.classify("hello", timeout=30).status == "ok"
        assert [made.status for made in client.stream(["a", "b"])] == ["ok", "ok"]
    slots = Settings(redis_url=guarded.urls["client"], producer_slots=3)
    with Client(queue=QUEUE, producer="shop", settings=slots) as client:
        ids = client.submit(["hello", "world", "more", "than", "its", "slots"]) + client.submit(["again"])
        assert sorted(made.id for made in client.results(max=7, timeout=30)) == sorted(ids)
    celery = create_app(Settings(redis_url=guarded.urls["worker"]))
    assert celery.send_task(keys.CELERY_TASK, ("hello",), queue=keys.celery_queue(QUEUE)).get(timeout=30)["label"]
    time.sleep(1.5)  # leases are renewed and swept
    assert worker.stop() == 0
    guarded.admin.xadd(
        keys.dead(QUEUE), {"v": "1", "text": "x", "dead_status": "dead", "dead_stream": keys.requests(QUEUE)}
    )
    operate = ["list", "requeue --all", "purge --all"]
    for line in ("queues", "doctor --json", *(f"dead {verb} --queue {QUEUE}" for verb in operate)):
        done = command(guarded.urls["operator"], *line.split())
        assert done.returncode == 0 or line.startswith("doctor"), done.stderr
        assert "does not let this user" not in done.stderr
    assert guarded.denied() == []


@pytest.mark.parametrize(
    ("role", "refused"),
    [
        ("client", ["FLUSHALL"]),
        ("client", ["KEYS", "*"]),
        ("client", ["CONFIG", "SET", "maxmemory", "1"]),
        ("client", ["XADD", keys.requests("other"), "*", "v", "1"]),
        ("client", ["XRANGE", keys.requests(QUEUE), "-", "+"]),
        ("client", ["XLEN", keys.dead(QUEUE)]),
        ("worker", ["FLUSHALL"]),
        ("worker", ["CONFIG", "SET", "maxmemory", "1"]),
        ("worker", ["XLEN", keys.requests("other")]),
        ("operator", ["FLUSHALL"]),
        ("operator", ["CONFIG", "SET", "maxmemory", "1"]),
        ("operator", ["DEL", keys.requests(QUEUE)]),
    ],
)
def test_no_role_may_do_more(guarded: Guarded, role: str, refused: list[str]) -> None:
    with redis_py.Redis.from_url(guarded.urls[role]) as link, pytest.raises(redis_py.exceptions.NoPermissionError):
        link.execute_command(*refused)


def test_a_client_of_another_queue_is_told_in_one_line(guarded: Guarded) -> None:
    with Client(guarded.urls["client"], queue="other") as client, pytest.raises(BrokerError) as caught:
        client.submit(["hello"])
    assert "client-password" not in str(caught.value)
    texts = "hello\n"
    env = {**os.environ, "SORTGATE_REDIS_URL": guarded.urls["client"]}
    done = subprocess.run(
        [sys.executable, "-m", "sortgate", "submit", "-", "--queue", "other"],
        env=env, input=texts, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode != 0
    assert len(done.stderr.strip().splitlines()) == 1
    assert "client-password" not in done.stderr
    assert "Traceback" not in done.stderr

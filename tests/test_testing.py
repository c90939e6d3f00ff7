"""What users get for their own tests: the fixture, the fake worker, and a plugin that costs nothing to load."""

from __future__ import annotations

import subprocess
import sys

import pytest
import redis

from sortgate import Client, keys
from sortgate.testing import FakeWorker


def test_the_fixture_is_an_empty_private_redis(sortgate_redis: str) -> None:
    with redis.Redis.from_url(sortgate_redis) as client:
        assert client.dbsize() == 0
        client.set("left", "over")


def test_the_fixture_is_empty_again(sortgate_redis: str) -> None:
    with redis.Redis.from_url(sortgate_redis) as client:
        assert client.dbsize() == 0


def test_the_fake_answers_as_a_worker_does(sortgate_redis: str) -> None:
    def label(text: str) -> str | None:
        if text == "bad":
            raise KeyError(text)
        return None if text == "unsure" else text.upper()

    with FakeWorker(sortgate_redis, "q", label), Client(sortgate_redis, "q") as client:
        results = client.classify(["a", "unsure", "bad"], raise_errors=False)
        assert [(r.status, r.label, r.code) for r in results] == [
            ("ok", "A", None),
            ("ok", None, None),
            ("error", None, "component_failed"),
        ]
        assert results[2].message == "KeyError"  # and not the text
    with redis.Redis.from_url(sortgate_redis) as link:
        assert link.xlen(keys.dead("q")) == 1


def test_the_fake_rejects_what_is_no_request(sortgate_redis: str) -> None:
    with (
        FakeWorker(sortgate_redis, "q", str.upper),
        redis.Redis.from_url(sortgate_redis) as link,
        Client(sortgate_redis, "q") as client,
    ):
        link.xadd(keys.requests("q"), {"v": "7", "text": "x"})
        (result,) = client.results(max=1, timeout=5)
    assert (result.status, result.code) == ("rejected", "bad_version")


def test_a_failure_of_the_fake_itself_comes_out(sortgate_redis: str) -> None:
    with redis.Redis.from_url(sortgate_redis) as link:
        link.set(keys.results("q"), "no stream")
        fake = FakeWorker(sortgate_redis, "q", str.upper)
        fake.__enter__()
        link.xadd(keys.requests("q"), {"v": "1", "text": "x"})
        fake._thread.join(5)
        with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
            fake.__exit__(None, None, None)


def test_loading_the_pytest_plugin_loads_nothing_else_of_sortgate() -> None:
    code = (
        "import sys, pytest; import sortgate.testing; "
        "print(sorted(m for m in sys.modules if m.partition('.')[0] in ('redis', 'msgspec', 'celery', 'numpy') "
        "or m.startswith('sortgate.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['sortgate.testing']"

"""The images' health check against a real worker: well while it beats, ill without it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "docker" / "healthcheck.py"


def check(queues: str, url: str) -> tuple[int, str]:
    env = {**os.environ, "SORTGATE_QUEUES": queues, "SORTGATE_REDIS_URL": url}
    done = subprocess.run([sys.executable, SCRIPT], env=env, capture_output=True, text=True, timeout=30, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout.strip()


def test_healthy_only_on_the_queues_that_are_served(start_worker: Callable[..., Any], redis_url: str) -> None:
    worker = start_worker("toy,other=second")
    assert check("toy,other=second", redis_url) == (0, "")
    assert check("toy,unserved", redis_url) == (1, "no heartbeat on unserved")
    worker.stop()
    assert check("toy", redis_url) == (1, "no heartbeat on toy")


@pytest.mark.parametrize(
    ("queues", "url", "expected"),
    [
        ("toy", "redis://127.0.0.1:1/0", "Redis: ConnectionError"),
        ("", "redis://127.0.0.1:1/0", "SORTGATE_QUEUES is not set"),
    ],
)
def test_ill_without_redis_or_queues(queues: str, url: str, expected: str) -> None:
    assert check(queues, url) == (1, expected)

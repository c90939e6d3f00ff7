"""The images' health check against a real worker: well while it gets on, ill when it stands or is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scraping import free_port
from sortgate import Client
from waiting import wait_for

SCRIPT = Path(__file__).resolve().parents[2] / "docker" / "healthcheck.py"


def check(port: int | str) -> tuple[int, str]:
    env = {**os.environ, "SORTGATE_METRICS_PORT": str(port)}
    done = subprocess.run([sys.executable, SCRIPT], env=env, capture_output=True, text=True, timeout=30, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout.strip()


def test_well_while_the_worker_gets_on(start_worker: Callable[..., Any], redis_url: str) -> None:
    port = free_port()
    worker = start_worker(SORTGATE_METRICS_PORT=str(port), SORTGATE_HEALTH_TIMEOUT_S="1.5")
    wait_for(lambda: check(port) == (0, ""))
    [child] = worker.children
    os.kill(child, signal.SIGSTOP)
    with Client(redis_url, queue="toy") as client:
        client.submit(["hello world"])
        wait_for(lambda: check(port)[0] == 1)
        assert "/healthz: " in check(port)[1]
        assert "1 texts in hand" in check(port)[1]
        os.kill(child, signal.SIGCONT)
        wait_for(lambda: check(port) == (0, ""))
    worker.stop()
    status, told = check(port)
    assert status == 1
    assert told.splitlines()[0].startswith(f"/readyz: no answer on port {port}: ")


@pytest.mark.parametrize("port", ["", "0"])
def test_ill_without_a_port_to_ask(port: str) -> None:
    assert check(port) == (1, "SORTGATE_METRICS_PORT is not set: there is nothing to ask")

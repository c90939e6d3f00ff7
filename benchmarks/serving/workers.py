"""Worker processes under measurement: started, stopped while their queue is filled, watched until all is answered."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import psutil

from sortgate import Client

HERE = Path(__file__).parent
#: A worker that is not ready, or a queue that is not drained, after so many seconds ends the benchmark.
START_S, DRAIN_S = 90.0, 900.0


@contextlib.contextmanager
def running(command: list[str], env: Mapping[str, str], ready: Callable[[], bool]) -> Iterator[psutil.Process]:
    """Run a worker until the end of the block."""
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen(
            command, env={**os.environ, **env}, cwd=HERE / "yardsticks", stdout=log, stderr=log, start_new_session=True
        )
        try:
            deadline = time.monotonic() + START_S
            while not ready():
                if child.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise SystemExit(f"{' '.join(command)} did not start:\n{log.read().decode()}")
                time.sleep(0.002)
            yield psutil.Process(child.pid)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def worker_command(bundle: Path, processes: int, queue: str) -> list[str]:
    """Return the command of ``sortgate worker`` for one bundle."""
    command = [sys.executable, "-m", "sortgate", "worker", "--models", str(bundle.parent.parent)]
    command += ["--queues", f"{queue}={bundle.parent.name}", "--concurrency", str(processes), "--loglevel", "warning"]
    return command


class Serving(NamedTuple):
    """A ``sortgate worker`` that is ready, and a client of its queue."""

    worker: psutil.Process
    client: Client


@contextlib.contextmanager
def serving(url: str, bundle: Path, processes: int, queue: str = "bench") -> Iterator[Serving]:
    """Run ``sortgate worker`` until the end of the block; every text must go through the model, as its metrics say."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = {"SORTGATE_REDIS_URL": url, "SORTGATE_COALESCE": "0", "SORTGATE_METRICS_PORT": str(port)}
    with Client(url, queue=queue) as client:

        def ready() -> bool:  # asked of itself: a text might be answered by another worker
            try:
                return bool(_page(port, "readyz"))
            except OSError:
                return False

        with running(worker_command(bundle, processes, queue), env, ready) as worker:
            yield Serving(worker, client)
            shared = re.findall(r"^sortgate_shared_texts_total\{[^}]*\} (\S+)$", _page(port, "metrics"), re.MULTILINE)
            if list(map(float, shared)) != [0.0]:
                raise SystemExit(f"texts shared scores, which must be 0 here: {shared}")


def _page(port: int, name: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{name}", timeout=10) as page:
        text: str = page.read().decode()
    return text


@contextlib.contextmanager
def stopped(worker: psutil.Process) -> Iterator[None]:
    """Keep a worker and its pool from running while its queue is filled."""
    os.killpg(worker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(worker.pid, signal.SIGCONT)


def drain(count: Callable[[], int], wanted: int) -> float:
    """Return the seconds until ``wanted`` results are stored."""
    started = time.perf_counter()
    while count() < wanted:
        if time.perf_counter() > started + DRAIN_S:
            raise SystemExit(f"only {count()} of {wanted} results came")
        time.sleep(0.01)
    return time.perf_counter() - started


class ProcessorTime:
    """Processor seconds, user and system, spent by groups of processes since it was made.

    Args:
        parts: processes of each part.
    """

    def __init__(self, parts: Mapping[str, list[psutil.Process]]) -> None:
        self._parts = parts
        self._before = self._seconds()

    def _seconds(self) -> dict[str, float]:
        return {
            name: sum(sum(process.cpu_times()[:2]) for process in processes) for name, processes in self._parts.items()
        }

    def us_per_text(self, texts: int) -> dict[str, float]:
        """Microseconds a text, by part."""
        return {name: (seconds - self._before[name]) / texts * 1e6 for name, seconds in self._seconds().items()}

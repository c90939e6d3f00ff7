"""C: a worker whose clock jumps, and one that gets no processor."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from faultrun import FAST, FaultRun, seeds, texts

pytestmark = pytest.mark.slow
StartWorker = Callable[..., Any]

#: Imported by every Python that has it on its path: the wall clock of the worker and its pool can be set by a file.
JUMPING_CLOCK = """
import time
_real = time.time
def _jumped():
    try:
        with open({path!r}) as file: return _real() + float(file.read() or 0)
    except (OSError, ValueError): return _real()
time.time = _jumped
time.time_ns = lambda: int(_jumped() * 1e9)
"""


@pytest.mark.parametrize("jump_s", [3600, -3600])
def test_c1_a_clock_that_jumps_takes_no_lease_and_expires_no_text(
    start_worker: StartWorker, run: FaultRun, tmp_path: Path, jump_s: int
) -> None:
    """Leases and deadlines are judged by Redis's clock alone."""
    offset = tmp_path / "offset"
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "sitecustomize.py").write_text(JUMPING_CLOCK.format(path=str(offset)))
    paths = os.pathsep.join([str(tmp_path / "path"), os.environ.get("PYTHONPATH", "")])
    straight = start_worker(**FAST)
    jumping = start_worker(PYTHONPATH=paths, **FAST)
    said = subprocess.run(
        [sys.executable, "-c", "import time; print(time.time_ns.__name__)"],
        env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout.strip() == "<lambda>", "the clock can be set"
    with run.producing():
        time.sleep(1.0)
        offset.write_text(str(jump_s))
        for _ in range(10):
            run.client.submit(texts(50), deadline_s=120)
            time.sleep(0.3)
    run.check()
    assert run.counter("reclaimed") == 0
    assert {result.status for result in run.results.values()} == {"ok"}
    assert all(result.queued_ms < 600_000 for result in run.results.values())
    assert straight.process.poll() is jumping.process.poll() is None


@contextlib.contextmanager
def busy(core: int, processes: int) -> Iterator[None]:
    """Keep a core busy with processes that have precedence over those of SCHED_IDLE."""
    command = [sys.executable, "-c", f"import os\nos.sched_setaffinity(0, {{{core}}})\nwhile True: pass"]
    running = [subprocess.Popen(command) for _ in range(processes)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


@seeds()
def test_c2_a_starved_worker_costs_work_and_no_answer(
    start_worker: StartWorker, run: FaultRun, chance: random.Random
) -> None:
    starved = start_worker(concurrency=1, **FAST)
    fed = start_worker(concurrency=1, **FAST)
    core = chance.choice(sorted(os.sched_getaffinity(0)))
    for pid in (starved.pid, *starved.children):
        for thread in psutil.Process(pid).threads():
            os.sched_setaffinity(thread.id, {core})
            os.sched_setscheduler(thread.id, os.SCHED_IDLE, os.sched_param(0))
    with busy(core, 3), run.producing(chunk=50):
        time.sleep(8.0)
    run.check()
    assert starved.process.poll() is fed.process.poll() is None

"""B: a Redis whose memory or disk is full, that may evict, or whose file is damaged."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from faultrun import DURABILITY, FAST, FaultRun, complaints
from sortgate import keys
from sortgate.embedded import EmbeddedRedis, find_server
from sortgate.errors import BrokerError, ConfigurationError, QueueFullError
from waiting import wait_for

StartWorker = Callable[..., Any]


StartRun = Callable[[str], FaultRun]


StartRedis = Callable[..., EmbeddedRedis]


def submit_until_refused(run: FaultRun) -> None:
    for _ in range(1000):
        run.submit(100)
        time.sleep(0.005)


@pytest.mark.slow
def test_b7_a_full_memory_pushes_back_and_workers_drain(
    start_worker: StartWorker, fault_run: StartRun, own_redis: StartRedis
) -> None:
    server = own_redis()
    run = fault_run(server.url)
    worker = start_worker(concurrency=1, url=server.url, **FAST)
    run.probe(within_s=20)
    worker.process.send_signal(signal.SIGSTOP)  # or it would drain as fast as we fill
    used = run.redis.info("memory")["used_memory"]
    run.redis.config_set("maxmemory", used + 3_000_000)
    with pytest.raises(QueueFullError, match="memory limit"):
        submit_until_refused(run)
    worker.process.send_signal(signal.SIGCONT)
    wait_for(lambda: run.redis.xlen(keys.requests("toy")) == 0, what="workers drain although memory is full")
    counts = run.check()
    assert run.found is not None
    assert run.found.refused == 100
    assert counts.ok == counts.acknowledged >= 1000
    assert worker.process.poll() is None


def test_b8_a_redis_that_may_evict_is_refused(start_worker: StartWorker, run: FaultRun) -> None:
    run.redis.config_set("maxmemory-policy", "allkeys-lru")
    worker = start_worker(ready=False)
    assert worker.process.wait(20) == 78
    assert "SORTGATE_ALLOW_EVICTION=1" in worker.output()
    assert start_worker(SORTGATE_ALLOW_EVICTION="1").process.poll() is None


@pytest.mark.slow
def test_b8_what_redis_evicts_is_reported(fault_run: StartRun, own_redis: StartRedis) -> None:
    server = own_redis({"maxmemory-policy": "allkeys-lru"})
    run = fault_run(server.url)
    run.submit(1000)
    run.redis.config_set("maxmemory", run.redis.info("memory")["used_memory"] + 1_000_000)
    with contextlib.suppress(QueueFullError):
        for _ in range(100):
            run.submit(100)
    assert run.redis.info("stats")["evicted_keys"] > 0
    assert run.outcome().counts.lost > 0
    run.found = run.outcome()
    risks = [finding.text for finding in run.doctor() if finding.level == "risk"]
    assert any("have been evicted" in text for text in risks), risks


TINY_DISK = """#!/bin/sh
# In namespaces of its own: the data on a disk of 1 MB.
exec unshare -Urm sh -c '
mkdir -p small && mount -t tmpfs -o size=1m none small && exec "{server}" redis.conf --dir small'
"""


def needs_namespaces(kind: str) -> None:
    done = subprocess.run(["unshare", f"-Ur{kind}", "true"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no user namespaces here: {done.stderr.strip()}")


@pytest.mark.slow
def test_b9_a_full_disk_is_said_to_the_producer(
    start_worker: StartWorker, fault_run: StartRun, own_redis: StartRedis, tmp_path: Path
) -> None:
    needs_namespaces("m")
    script = tmp_path / "redis-on-a-tiny-disk"
    script.write_text(TINY_DISK.format(server=find_server()))
    script.chmod(0o755)
    server = own_redis(DURABILITY["everysec"], server=script)
    run = fault_run(server.url)
    worker = start_worker(url=server.url, **FAST)
    run.probe(within_s=20)
    with pytest.raises(BrokerError, match="cannot write to its disk"):
        submit_until_refused(run)
    inside = ["nsenter", "-t", str(server.process.pid), "-U", "-m", "--preserve-credentials"]
    small = str(server.data_dir / "small")
    subprocess.run([*inside, "mount", "-o", "remount,size=100m", small], check=True, capture_output=True)
    run.probe(within_s=30)
    run.check()
    assert worker.process.poll() is None
    assert len(complaints(worker)) < 60


def append_only_file(server: EmbeddedRedis) -> Path:
    """Return the file that grows: one until Redis 6.2, the last of several since 7."""
    files = [*server.data_dir.glob("appendonly.aof"), *sorted(server.data_dir.glob("appendonlydir/*.incr.aof"))]
    return files[-1]


@pytest.mark.slow
def test_b10_a_cut_tail_of_the_append_only_file_loses_the_tail(
    start_worker: StartWorker, fault_run: StartRun, own_redis: StartRedis
) -> None:
    server = own_redis(DURABILITY["always"])
    run = fault_run(server.url)
    for _ in range(10):
        last = run.submit(50)
    server.kill()
    path = append_only_file(server)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 37)
    server.start()
    start_worker(url=server.url, **FAST)
    run.check(may_lose=True)
    assert run.found is not None
    assert set(run.found.suspects.lost) <= set(last), "the last command alone: a chunk is whole or gone"
    assert run.found.counts.lost in (0, 1, 50)


@pytest.mark.slow
def test_b10_a_damaged_append_only_file_is_refused_by_redis(fault_run: StartRun, own_redis: StartRedis) -> None:
    server = own_redis(DURABILITY["always"])
    run = fault_run(server.url)
    for _ in range(10):
        run.submit(50)
    server.kill()
    path = append_only_file(server)
    data = bytearray(path.read_bytes())
    for at in range(len(data) // 2, len(data) // 2 + 200):
        data[at] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises((ConfigurationError, BrokerError), match=r"(?i)aof|append only file"):
        server.start()

"""Faults under load on real processes: nothing lost, nothing answered twice, and work goes on."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import redis as redis_py
from onnx import helper, numpy_helper

from sortgate import Client, keys
from sortgate.audit import QueueAudit, audit
from sortgate.embedded import EmbeddedRedis

StartWorker = Callable[..., Any]
FAST = {"SORTGATE_LEASE_S": "1.5", "SORTGATE_SWEEP_S": "0.5"}


def texts(count: int) -> list[str]:
    return [f"text number {i} says hello {'again ' * (i % 23)}" for i in range(count)]


def collect(client: Client, ids: list[str], timeout: float = 60.0) -> QueueAudit:
    """Read every result, then wait a little for one too many."""
    answered = [result.id for result in client.results(max=len(ids), timeout=timeout)]
    answered += [result.id for result in client.results(timeout=1.0)]
    return audit(ids, ids, answered)


def test_sigkill_of_the_whole_worker_at_ten_random_moments(
    start_worker: StartWorker, redis_url: str, redis: redis_py.Redis
) -> None:
    chance = random.Random(20261123)
    with Client(redis_url, queue="toy") as client:
        ids: list[str] = []
        for _ in range(10):
            worker = start_worker(concurrency=2, **FAST)
            ids += client.submit(texts(4000))
            time.sleep(chance.uniform(0.0, 0.4))
            worker.kill()
        start_worker(concurrency=2, **FAST)
        found = collect(client, ids)
    assert found.valid, found
    assert redis.xpending(keys.requests("toy"), keys.GROUP)["pending"] == 0


def test_sigkill_of_pool_processes(start_worker: StartWorker, redis_url: str) -> None:
    worker = start_worker(concurrency=2, **FAST)
    with Client(redis_url, queue="toy") as client:
        ids = client.submit(texts(20_000))
        for _ in range(6):
            time.sleep(0.25)
            os.kill(random.Random(len(ids)).choice(worker.children), signal.SIGKILL)
        found = collect(client, ids)
    assert found.valid, found


def test_twenty_lost_links_with_more_batches_than_processes(
    start_worker: StartWorker, redis_url: str, redis: redis_py.Redis
) -> None:
    worker = start_worker(concurrency=2, SORTGATE_BATCH_TEXTS="16", **FAST)
    with Client(redis_url, queue="toy") as client:
        ids = client.submit(texts(30_000))
        for _ in range(20):
            time.sleep(0.2)
            redis.client_kill_filter(_type="normal", skipme=True)
        found = collect(client, ids)
        assert found.valid, found
        assert worker.process.poll() is None
        again = client.submit(texts(100))
        assert collect(client, again).valid, "consumption goes on"


def test_lost_links_while_results_larger_than_a_pipe_are_half_read(
    start_worker: StartWorker, redis_url: str, redis: redis_py.Redis
) -> None:
    """Celery resets its event loop when the broker's link breaks, also in the middle of a process's result."""
    worker = start_worker(concurrency=2, **FAST)
    ids = [str(number) for number in range(4000)]
    for start in range(0, len(ids), 500):
        with redis.pipeline() as pipe:
            for ident in ids[start : start + 500]:
                fields = {"v": "1", "id": ident, "text": f"hello {ident}", "meta": "m" * 10_000}
                pipe.xadd(keys.requests("toy"), fields)
            pipe.execute()
    for _ in range(20):
        time.sleep(0.15)
        redis.client_kill_filter(_type="normal", skipme=True)
    with Client(redis_url, queue="toy") as client:
        found = collect(client, ids)
    assert found.valid, found
    assert worker.process.poll() is None, worker.output()[-3000:]
    assert "Unrecoverable" not in worker.output()


def test_answers_that_came_while_the_broker_was_away_beat_the_time_limit(
    start_worker: StartWorker, redis_url: str
) -> None:
    with EmbeddedRedis() as broker:
        worker = start_worker(
            concurrency=1,
            SORTGATE_BROKER_URL=broker.url,
            SORTGATE_BATCH_TIMEOUT_S="2",
            SORTGATE_BATCH_TEXTS="8",
            **FAST,
        )
        process = worker.children
        with Client(redis_url, queue="toy") as client:
            broker.kill()
            ids = client.submit(texts(4000))
            time.sleep(4.0)
            broker.start()
            found = collect(client, ids)
        assert found.valid, found
        assert worker.children == process, "the process that was done long ago lives"
        assert "timed_out" not in worker.output()


def test_a_stopped_worker_loses_its_lease_and_its_late_answers_are_suppressed(
    start_worker: StartWorker, redis_url: str, redis: redis_py.Redis
) -> None:
    zombie = start_worker(concurrency=1, **FAST)
    with Client(redis_url, queue="toy") as client:
        ids = client.submit(texts(10_000))
        while not redis.xlen(keys.results("toy")):
            time.sleep(0.01)
        os.killpg(zombie.pid, signal.SIGSTOP)
        start_worker(concurrency=1, **FAST)
        time.sleep(3.0)
        os.killpg(zombie.pid, signal.SIGCONT)
        found = collect(client, ids)
    assert found.valid, found
    assert int(redis.hget(keys.counters("toy"), "reclaimed") or 0) > 0
    assert zombie.process.poll() is None


def test_a_silent_redis_heals_without_a_restart(start_worker: StartWorker, redis_server: Any, redis_url: str) -> None:
    worker = start_worker(SORTGATE_SOCKET_TIMEOUT_S="1", **FAST)
    with Client(redis_url, queue="toy") as client:
        assert client.classify("hello", timeout=10).status == "ok"
        redis_server.process.send_signal(signal.SIGSTOP)
        time.sleep(5.0)
        redis_server.process.send_signal(signal.SIGCONT)
        started = time.monotonic()
        assert client.classify("hello again", timeout=20).status == "ok"
        assert time.monotonic() - started < 10.0
    assert worker.process.poll() is None


@pytest.mark.slow
def test_an_outage_of_45_seconds_is_survived(start_worker: StartWorker) -> None:
    """Longer than every lease, time-out and pause between attempts; Celery's own link is away as long."""
    with EmbeddedRedis(appendonly=True) as server:
        worker = start_worker(concurrency=2, url=server.url)
        with Client(server.url, queue="toy") as client:
            ids = client.submit(texts(20_000))
            with redis_py.Redis.from_url(server.url) as link:
                while not link.xlen(keys.results("toy")):
                    time.sleep(0.01)
            server.kill()
            time.sleep(45.0)
            assert worker.process.poll() is None
            server.start()
            found = collect(client, ids)
            assert found.valid, found
            started = time.monotonic()
            assert client.classify("hello", timeout=20).status == "ok"
            assert time.monotonic() - started < 5.0
        lines = [line for line in worker.output().splitlines() if "WARNING" in line or "ERROR" in line]
        assert len(lines) < 120, "an outage does not fill the disk with log lines"
        assert worker.stop() == 0


def test_flushed_redis_heals(start_worker: StartWorker, redis_url: str, redis: redis_py.Redis) -> None:
    worker = start_worker(**FAST)
    for _ in range(3):
        redis.flushall()
        time.sleep(0.3)
        with Client(redis_url, queue="toy") as client:
            assert client.classify("hello", timeout=10).status == "ok"
    warnings = [line for line in worker.output().splitlines() if "WARNING" in line or "ERROR" in line]
    assert len(warnings) < 20, "no storm of log lines"


def fails_from_50_tokens(model: bytes) -> bytes:
    """Make ONNX Runtime raise for batches that are 50 tokens or longer: an index is out of a table's range."""
    graph = onnx.load_from_string(model)
    last = next(node for node in graph.graph.node if "logits" in node.output)
    last.output[0] = "logits.sound"
    graph.graph.initializer.append(numpy_helper.from_array(np.zeros(50, np.float32), "table"))
    graph.graph.initializer.append(numpy_helper.from_array(np.array(1, np.int64), "unit"))
    graph.graph.node.append(helper.make_node("Sub", ["steps", "unit"], ["last_step"]))
    graph.graph.node.append(helper.make_node("Gather", ["table", "last_step"], ["nothing"]))
    graph.graph.node.append(helper.make_node("Add", ["logits.sound", "nothing"], ["logits"]))
    return bytes(graph.SerializeToString())


def test_a_text_on_which_onnx_runtime_fails_is_isolated(
    start_worker: StartWorker,
    make_bundle: Callable[..., Path],
    redis_url: str,
    redis: redis_py.Redis,
    tmp_path: Path,
) -> None:
    make_bundle(tmp_path / "models" / "toy", alter=fails_from_50_tokens)
    worker = start_worker(models=tmp_path / "models", **FAST)
    children = set(worker.children)
    batch = texts(200)
    batch[77] = "secretly " * 60
    with Client(redis_url, queue="toy") as client:
        ids = client.submit(batch)
        results = {result.id: result for result in client.results(max=len(ids), timeout=60)}
    assert set(results) == set(ids)
    assert [i for i, ident in enumerate(ids) if results[ident].status != "ok"] == [77]
    failed = results[ids[77]]
    assert (failed.status, failed.code) == ("dead", "inference_failed")
    assert "ONNX Runtime failed on a batch [1, 60]" in (failed.message or "")
    assert redis.xlen(keys.dead("toy")) == 1
    assert set(worker.children) == children, "no process had to die for it"
    assert "secretly" not in worker.output()


POISON_PLUGIN = """
import ctypes, os, signal, time
from sortgate import hookimpl

def poison(text):
    if "segfault" in text: os.kill(os.getpid(), signal.SIGSEGV)
    if "killme" in text: os.kill(os.getpid(), signal.SIGKILL)
    if "hangs" in text: time.sleep(600)
    if "raises" in text: raise RuntimeError("this text: " + text)
    return text

@hookimpl
def sortgate_register_normalizers(register):
    register("test.poison.v1", lambda: poison)
"""


@pytest.mark.parametrize(
    ("poison", "status", "code"),
    [("killme", "dead", "worker_lost"), ("hangs", "dead", "timed_out"), ("raises", "error", "component_failed")],
)
def test_a_poison_text_is_isolated(
    start_worker: StartWorker,
    make_bundle: Callable[..., Path],
    redis_url: str,
    redis: redis_py.Redis,
    tmp_path: Path,
    poison: str,
    status: str,
    code: str,
) -> None:
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "poison.py").write_text(POISON_PLUGIN)
    make_bundle(tmp_path / "models" / "toy", normalizers=["test.poison.v1"], plugins_dir=plugins)
    env = {"SORTGATE_PLUGINS_DIR": str(plugins), "SORTGATE_BATCH_TIMEOUT_S": "1" if poison == "hangs" else "20"}
    worker = start_worker(models=tmp_path / "models", **env, **FAST)
    batch = texts(200)
    batch[77] = f"this text {poison} the worker secretly"
    with Client(redis_url, queue="toy") as client:
        ids = client.submit(batch)
        results = {result.id: result for result in client.results(max=len(ids), timeout=60)}
    assert set(results) == set(ids)
    assert [i for i, ident in enumerate(ids) if results[ident].status != "ok"] == [77]
    assert (results[ids[77]].status, results[ids[77]].code) == (status, code)
    [(_, copy)] = redis.xrange(keys.dead("toy"))
    assert copy["text"] == batch[77]
    assert "says hello" not in worker.output(), "message text never appears in logs, not even at level debug"
    assert "secretly" not in worker.output()
    assert "secretly" not in (results[ids[77]].message or "")

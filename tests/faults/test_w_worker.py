"""W: workers that are killed or stopped, and replies and commits that are cut off."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from faultrun import FAST, LEASE_AND_SWEEP_S, SLACK_S, FaultRun, seeds
from poison import with_plugin
from sortgate import Client, keys
from sortgate.faults import ChaosProxy, Trigger
from sortgate.streams.scripts import script_sha
from waiting import wait_for

StartWorker = Callable[..., Any]


MakeBundle = Callable[..., Path]


@seeds(quick=True)
def test_w1_pool_processes_are_killed(start_worker: StartWorker, run: FaultRun, chance: random.Random) -> None:
    worker = start_worker(concurrency=2, **FAST)
    with run.producing(chunk=200):
        for _ in range(6):
            time.sleep(chance.uniform(0.05, 0.5))
            wait_for(lambda: worker.children, what="processes are replaced")
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(worker.children), signal.SIGKILL)
    assert run.probe(within_s=20) < 20
    run.check()
    assert worker.process.poll() is None


@seeds(quick=True)
def test_w2_a_whole_worker_is_killed(start_worker: StartWorker, run: FaultRun, chance: random.Random) -> None:
    start_worker(concurrency=1, **FAST)
    for _ in range(3):
        worker = start_worker(concurrency=2, **FAST)
        with run.producing(chunk=400):
            time.sleep(chance.uniform(0.1, 1.0))
            worker.kill()
        killed = time.monotonic()
        wait_for(lambda: run.outcome().counts.in_flight == 0, what="texts finish elsewhere")
        # what the other worker had to do anyway comes on top, as does what a loaded machine takes
        assert time.monotonic() - killed < LEASE_AND_SWEEP_S + SLACK_S
        run.figures["healed_s"] = round(time.monotonic() - killed, 2)
    run.check()
    assert run.redis.xpending(keys.requests("toy"), keys.GROUP)["pending"] == 0


@pytest.mark.slow
def test_w2_ten_workers_are_killed_one_after_the_other(start_worker: StartWorker, run: FaultRun) -> None:
    chance = random.Random(20261123)
    for _ in range(10):
        worker = start_worker(concurrency=2, **FAST)
        run.submit(4000)
        time.sleep(chance.uniform(0.0, 0.4))
        worker.kill()
    start_worker(concurrency=2, **FAST)
    run.check()


@pytest.mark.slow
def test_w2_at_the_default_lease_and_sweep(start_worker: StartWorker, run: FaultRun) -> None:
    start_worker()
    worker = start_worker(concurrency=2)
    run.submit(30_000)
    stop_holding_texts(run, worker)
    worker.kill()
    killed = time.monotonic()
    wait_for(lambda: run.outcome().counts.in_flight == 0, what="texts finish elsewhere")
    run.figures["healed_s"] = round(time.monotonic() - killed, 2)
    assert 10.0 < time.monotonic() - killed < 15.0 + 5.0 + SLACK_S
    run.check()


def held_by(run: FaultRun, pid: int) -> int:
    """Return how many texts the consumers of a worker have pending."""
    consumers = run.redis.xinfo_consumers(keys.requests("toy"), keys.GROUP)
    return sum(item["pending"] for item in consumers if f"-{pid}-" in item["name"])


def stop_holding_texts(run: FaultRun, worker: Any) -> int:
    """Stop a worker's processes at a moment at which it has texts, and return how many.

    It may have answered its last ones at just the moment of the signal; it then goes on, and is tried again.
    """
    for _ in range(100):
        wait_for(lambda: held_by(run, worker.pid) > 0, what="the worker has texts")
        os.killpg(worker.pid, signal.SIGSTOP)
        time.sleep(0.05)  # what it had written to its socket is carried out
        if held := held_by(run, worker.pid):
            return held
        os.killpg(worker.pid, signal.SIGCONT)
    raise AssertionError("never stopped with texts in hand")


@seeds()
def test_w3_a_stopped_worker_loses_its_lease_and_its_late_answers_are_suppressed(
    start_worker: StartWorker, run: FaultRun, chance: random.Random
) -> None:
    zombie = start_worker(concurrency=1, **FAST)
    run.submit(10_000)
    run.working()
    time.sleep(chance.uniform(0.0, 0.1))
    stop_holding_texts(run, zombie)
    start_worker(concurrency=1, **FAST)
    wait_for(lambda: held_by(run, zombie.pid) == 0, what="its texts are taken over")
    os.killpg(zombie.pid, signal.SIGCONT)
    run.check()
    assert run.counter("reclaimed") > 0
    assert run.counter("suppressed") > 0, "it answered, too late"
    assert zombie.process.poll() is None


@seeds(quick=True)
@pytest.mark.parametrize("group", [False, True], ids=["main process", "process group"])
def test_w4_sigterm_finishes_and_hands_back(
    start_worker: StartWorker, run: FaultRun, chance: random.Random, group: bool
) -> None:
    worker = start_worker(concurrency=2, **FAST)
    with run.producing(chunk=400):
        run.working()
        time.sleep(chance.uniform(0.0, 0.5))
        started = time.monotonic()
        assert worker.stop(group=group) == 0, worker.output()[-3000:]
        assert time.monotonic() - started < SLACK_S
    pending = run.redis.xpending_range(keys.requests("toy"), keys.GROUP, "-", "+", 10_000)
    assert {(item["consumer"], item["times_delivered"]) for item in pending} <= {(keys.RELEASED, 0)}
    assert run.redis.hlen(keys.workers("toy")) == 0
    start_worker(concurrency=2, **FAST)
    run.check()
    assert run.counter("suppressed") == 0, "nothing was even computed twice"


SLOW_PLUGIN = """
import time
from sortgate import hookimpl

def slow(text):
    if "slow" in text: time.sleep(25)
    return text

@hookimpl
def sortgate_register_normalizers(register):
    register("test.plugin.v1", lambda: slow)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "signals",
    [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGINT), (signal.SIGQUIT,)],
    ids=["SIGTERM twice", "SIGINT twice", "SIGQUIT"],
)
def test_w4_stopping_at_once_hands_back(
    start_worker: StartWorker, make_bundle: MakeBundle, run: FaultRun, tmp_path: Path, signals: tuple[int, ...]
) -> None:
    serving = with_plugin(make_bundle, tmp_path, SLOW_PLUGIN)
    worker = start_worker(**serving, **FAST)
    run.probe(within_s=20)
    run.submit(["slow"])
    wait_for(lambda: run.redis.xpending(keys.requests("toy"), keys.GROUP)["pending"] == 1)
    time.sleep(0.5)
    for number in signals[:-1]:
        os.kill(worker.pid, number)
        time.sleep(1.0)
        assert worker.process.poll() is None, "the first lets it finish"
    started = time.monotonic()
    os.kill(worker.pid, signals[-1])
    worker.process.wait(20)
    assert time.monotonic() - started < SLACK_S
    assert "Traceback" not in worker.output()
    [item] = run.redis.xpending_range(keys.requests("toy"), keys.GROUP, "-", "+", 10)
    assert item["consumer"] == keys.RELEASED
    start_worker(**serving, **FAST)
    run.check()


@seeds(quick=True)
def test_w5_the_reply_with_two_texts_is_cut_at_every_boundary(
    start_worker: StartWorker, run: FaultRun, proxy: ChaosProxy, redis_url: str, chance: random.Random
) -> None:
    """What kombu loses: a message that Redis has handed out and the worker has not yet noted."""
    start_worker(url=proxy.url, SORTGATE_BROKER_URL=redis_url, SORTGATE_SOCKET_TIMEOUT_S="2", **FAST)
    pair = ["first says hello", "second says hello again"]
    marker = b"*1\r\n*2\r\n$%d\r\n%b\r\n*2\r\n" % (len(keys.requests("toy")), keys.requests("toy").encode())
    offsets = cut_offsets(read_reply(run, pair), chance)
    for number, offset in enumerate(offsets):
        trigger = proxy.down.trigger = Trigger(marker, offset)
        wait_for(lambda: waiting_workers(run) > 0, what="the worker waits for texts")
        run.submit(pair, ids=[f"{number:03}-first", f"{number:03}-second"])
        wait_for(lambda trigger=trigger: trigger.fired, what=f"cut {number} at byte {offset}")
        wait_for(lambda: run.redis.xlen(keys.requests("toy")) == 0, what=f"answers after cut {number} at {offset}")
    counts = run.check()
    assert counts.ok == 2 * len(offsets)
    assert run.counter("reclaimed") == 0, "the worker finds what is its own, without waiting for a lease"
    run.figures["cuts"] = len(offsets)


def waiting_workers(run: FaultRun) -> int:
    """Return how many clients wait in a blocking read of the queue."""
    return sum(client["name"].endswith("-toy-read") and "b" in client["flags"] for client in run.redis.client_list())


def read_reply(run: FaultRun, pair: list[str]) -> bytes:
    """Return what Redis sends to a reader of two requests, from a queue whose name is as long."""
    stream = keys.requests("yot")
    run.redis.xgroup_create(stream, keys.GROUP, "0", mkstream=True)
    with Client(run.url, "yot") as client:
        client.submit(pair, ids=["000-first", "000-second"])
    parts = urlsplit(run.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=5.0) as link:
        link.sendall(f"XREADGROUP GROUP {keys.GROUP} me STREAMS {stream} >\r\n".encode())
        data = b""
        while not data.endswith(f"{pair[1]}\r\n".encode()):
            data += link.recv(65_536)
    run.redis.delete(stream)
    return data


def cut_offsets(data: bytes, chance: random.Random) -> list[int]:
    """Return every protocol boundary of ``data`` and the bytes beside it, and 50 offsets by chance."""
    ends = [at + 2 for at in range(len(data)) if data[at : at + 2] == b"\r\n"]
    beside = {end + step for end in (0, *ends) for step in (-1, 0, 1)}
    return sorted({at for at in beside if 0 <= at < len(data)} | {chance.randrange(len(data)) for _ in range(50)})


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before the commit", "after the commit"])
def test_w6_a_worker_is_killed_around_its_commit(
    start_worker: StartWorker, run: FaultRun, proxy: ChaosProxy, redis_url: str, moment: str
) -> None:
    worker = start_worker(url=proxy.url, SORTGATE_BROKER_URL=redis_url, **FAST)
    wait_for(lambda: waiting_workers(run) > 0, what="the worker waits for texts")
    before = moment == "before the commit"
    if before:
        trigger = proxy.up.trigger = Trigger(script_sha("commit").encode(), 0, "hold")
    else:
        trigger = proxy.down.trigger = Trigger(b"*10\r\n:10\r\n", 0, "hold")  # the reply: 10 are answered
    run.submit(10)
    wait_for(lambda: trigger.fired, what=moment)
    assert run.redis.xlen(keys.results("toy")) == (0 if before else 10)
    worker.kill()
    proxy.reset()  # what was held never arrives
    proxy.up.held = proxy.down.held = False
    start_worker(**FAST)
    run.check()
    assert run.counter("ok") == 10
    assert run.counter("suppressed") == 0
    assert run.counter("reclaimed") == (10 if before else 0)

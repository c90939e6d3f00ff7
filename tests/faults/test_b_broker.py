"""B: a Redis that crashes, falls silent, restarts, forgets, is demoted or locked."""

from __future__ import annotations

import datetime
import json
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest
import redis as redis_py

from faultrun import DURABILITY, FAST, SEEDS, SLACK_S, FaultRun, complaints, seeds
from sortgate import keys
from sortgate.embedded import EmbeddedRedis, find_server
from sortgate.errors import BrokerError
from waiting import wait_for

StartWorker = Callable[..., Any]


StartRun = Callable[[str], FaultRun]


StartRedis = Callable[..., EmbeddedRedis]


def version() -> tuple[int, ...]:
    said = subprocess.run([find_server(), "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"v=(\d+)\.(\d+)", said)
    assert found, said
    return tuple(map(int, found.groups()))


def debuggable() -> dict[str, str]:
    """Return what lets a client of this machine use DEBUG."""
    return {"enable-debug-command": "local"} if version() >= (7, 0) else {}


def acknowledged_at(run: FaultRun) -> dict[str, float]:
    """Return id → Unix time at which the producer heard that it is enqueued."""
    found: dict[str, float] = {}
    for line in map(json.loads, run.journal_path.read_text().splitlines()):
        if line["op"] == "ok":
            at = datetime.datetime.fromisoformat(line["at"]).timestamp()
            found.update(dict.fromkeys(line["ids"], at))
    return found


@seeds(quick=True)
@pytest.mark.parametrize(
    "durability", [name if name == "always" else pytest.param(name, marks=pytest.mark.slow) for name in DURABILITY]
)
def test_b1_redis_is_killed_and_restarted(
    start_worker: StartWorker, fault_run: StartRun, own_redis: StartRedis, chance: random.Random, durability: str
) -> None:
    server = own_redis(DURABILITY[durability])
    run = fault_run(server.url)
    worker = start_worker(concurrency=2, url=server.url, SORTGATE_SOCKET_TIMEOUT_S="2", **FAST)
    promised = [finding.text for finding in run.doctor() if finding.subject == "persistence"]
    with run.producing(chunk=100):
        time.sleep(1.5 + chance.uniform(0.0, 1.0))  # the snapshots' rule is looked at every second
        saved = run.redis.lastsave().timestamp() if durability == "rdb" else 0.0
        killed = time.time()
        server.kill()
        time.sleep(chance.uniform(0.1, 1.0))
        server.start()
        back = time.monotonic()
        run.probe(within_s=20)
        assert time.monotonic() - back < 5.0 + SLACK_S
        time.sleep(0.5)
    counts = run.check(may_lose=durability != "always")
    assert run.found is not None
    known = acknowledged_at(run)
    # What may be lost is what the doctor said: nothing; what the kernel had not got yet, two seconds at most; what
    # came after the last snapshot; everything. It is counted, and nothing from after the restart is among it.
    earliest = {"always": killed, "everysec": killed - 2.0, "rdb": saved - 1.0, "none": 0.0}[durability]
    moments = [known[ident] for ident in run.found.suspects.lost]
    assert all(earliest <= at <= killed + 0.5 for at in moments), (earliest, killed, moments)
    print(f"durability {durability}: {counts.lost} of {counts.acknowledged} lost; doctor: {promised}")
    if durability == "none":
        assert counts.lost > 0, "the checker sees it"
    assert len(complaints(worker)) < 20, "no storm of log lines"
    assert worker.process.poll() is None


@pytest.mark.slow
@pytest.mark.timeout(450)
@pytest.mark.parametrize("outage_s", [5, 60, *([300] if SEEDS > 1 else ())])  # too long for every change
def test_b2_a_silent_redis_heals_without_a_restart(
    start_worker: StartWorker, redis_server: EmbeddedRedis, run: FaultRun, outage_s: float
) -> None:
    """Stopped, not killed: the kernel keeps its connections and sends no reset."""
    worker = start_worker(concurrency=2, SORTGATE_SOCKET_TIMEOUT_S="1", **FAST)
    with run.producing():
        run.working()
        redis_server.process.send_signal(signal.SIGSTOP)
        try:
            time.sleep(outage_s)
        finally:
            redis_server.process.send_signal(signal.SIGCONT)
        assert run.probe(within_s=20) < 10.0
    run.check()
    assert worker.process.poll() is None
    assert len(complaints(worker)) < 20 + 2 * outage_s


@pytest.mark.slow
def test_b2_an_outage_of_45_seconds_is_survived(
    start_worker: StartWorker, fault_run: StartRun, own_redis: StartRedis
) -> None:
    """Longer than every lease, time-out and pause between attempts; Celery's own link is away as long."""
    server = own_redis(appendonly=True)
    run = fault_run(server.url)
    worker = start_worker(concurrency=2, url=server.url)
    run.submit(20_000)
    run.working()
    server.kill()
    time.sleep(45.0)
    assert worker.process.poll() is None
    server.start()
    run.check()
    assert run.probe(within_s=20) < 5.0
    assert len(complaints(worker)) < 120, "an outage does not fill the disk with log lines"
    assert worker.stop() == 0


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["SHUTDOWN NOSAVE", "DEBUG SLEEP", "CLIENT PAUSE"])
def test_b3_redis_restarts_sleeps_or_pauses(
    start_worker: StartWorker, fault_run: StartRun, own_redis: StartRedis, fault: str
) -> None:
    server = own_redis(DURABILITY["always"] | debuggable())
    run = fault_run(server.url)
    worker = start_worker(concurrency=2, url=server.url, SORTGATE_SOCKET_TIMEOUT_S="2", **FAST)
    with run.producing():
        run.working()
        if fault == "SHUTDOWN NOSAVE":
            run.redis.shutdown(nosave=True)
            time.sleep(1.0)
            server.start()
        elif fault == "DEBUG SLEEP":
            with redis_py.Redis.from_url(server.url, socket_timeout=60) as link:
                link.execute_command("DEBUG", "SLEEP", "10")
        else:
            run.redis.client_pause(10_000)
            time.sleep(10.0)
        assert run.probe(within_s=20) < 5.0 + SLACK_S
    run.check()
    assert worker.process.poll() is None


@seeds(quick=True)
def test_b4_every_link_is_killed_again_and_again(
    start_worker: StartWorker, run: FaultRun, chance: random.Random, request: pytest.FixtureRequest
) -> None:
    kills = 100 if request.node.get_closest_marker("slow") else 20
    worker = start_worker(concurrency=2, SORTGATE_BATCH_TEXTS="16", **FAST)
    run.probe(within_s=20)
    process = psutil.Process(worker.pid)
    descriptors = process.num_fds()
    with run.producing():
        for _ in range(kills):
            time.sleep(chance.uniform(0.1, 0.3))
            run.redis.client_kill_filter(_type="normal", skipme=True)
        run.probe(within_s=20)
    run.check()
    assert worker.process.poll() is None
    assert process.num_fds() <= descriptors + 5
    assert len(complaints(worker)) < 10 * kills


@pytest.mark.slow
def test_b4_links_are_killed_while_results_larger_than_a_pipe_are_half_read(
    start_worker: StartWorker, run: FaultRun
) -> None:
    """Celery resets its event loop when the broker's link breaks, also in the middle of a process's result."""
    worker = start_worker(concurrency=2, **FAST)
    for start in range(0, 4000, 500):
        run.client.submit([f"hello {start + i}" for i in range(500)], meta="m" * 10_000)
    for _ in range(20):
        time.sleep(0.15)
        run.redis.client_kill_filter(_type="normal", skipme=True)
    run.check()
    assert worker.process.poll() is None, worker.output()[-3000:]
    assert "Unrecoverable" not in worker.output()


@pytest.mark.slow
def test_b4_answers_that_came_while_the_broker_was_away_beat_the_time_limit(
    start_worker: StartWorker, run: FaultRun, own_redis: StartRedis
) -> None:
    broker = own_redis()
    limits = {"SORTGATE_BATCH_TIMEOUT_S": "2", "SORTGATE_BATCH_TEXTS": "8"}
    worker = start_worker(concurrency=1, SORTGATE_BROKER_URL=broker.url, **limits, **FAST)
    process = worker.children
    broker.kill()
    run.submit(4000)
    time.sleep(4.0)
    broker.start()
    run.check()
    assert worker.children == process, "the process that was done long ago lives"
    assert "timed_out" not in worker.output()


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["DEBUG RELOAD", "BGREWRITEAOF"])
def test_b5_redis_reloads_or_rewrites_under_load(
    start_worker: StartWorker, fault_run: StartRun, own_redis: StartRedis, fault: str
) -> None:
    server = own_redis(DURABILITY["everysec"] | debuggable())
    run = fault_run(server.url)
    start_worker(concurrency=2, url=server.url, **FAST)
    with run.producing(chunk=100):
        for _ in range(5):
            time.sleep(0.4)
            wait_for(lambda: not run.redis.info("persistence")["aof_rewrite_in_progress"])
            run.redis.execute_command(*fault.split())
    run.check()


def lose_all(link: redis_py.Redis) -> None:
    link.flushall()


def lose_group(link: redis_py.Redis) -> None:
    link.xgroup_destroy(keys.requests("toy"), keys.GROUP)


def lose_stream(link: redis_py.Redis) -> None:
    link.delete(keys.requests("toy"))


@pytest.mark.slow
@pytest.mark.parametrize("lose", [lose_all, lose_group, lose_stream])
def test_b6_what_redis_forgets_is_reported_and_the_queue_heals(
    start_worker: StartWorker, run: FaultRun, lose: Callable[[redis_py.Redis], None]
) -> None:
    worker = start_worker(concurrency=2, **FAST)
    run.submit(20_000)
    run.working()
    for _ in range(3):
        lose(run.redis)
        assert run.probe(within_s=20) < 2.0 + SLACK_S
        time.sleep(0.3)
    last = run.submit(100)
    counts = run.check(may_lose=True)
    assert run.found is not None
    assert (counts.lost > 0) == (lose is not lose_group), counts
    assert not set(last) & set(run.found.suspects.lost)
    assert len(complaints(worker)) < 20, "no storm of log lines"


@pytest.mark.slow
def test_b11_a_demoted_redis_heals_when_it_is_primary_again(
    start_worker: StartWorker, fault_run: StartRun, own_redis: StartRedis
) -> None:
    server = own_redis(DURABILITY["always"])
    run = fault_run(server.url)
    worker = start_worker(concurrency=2, url=server.url, SORTGATE_SOCKET_TIMEOUT_S="2", **FAST)
    with run.producing():
        run.working()
        for _ in range(3):
            run.redis.execute_command("REPLICAOF", "127.0.0.1", "1")
            time.sleep(2.0)
            with pytest.raises(BrokerError, match="read-only replica"):
                run.client.submit(["hello"])
            run.redis.execute_command("REPLICAOF", "NO", "ONE")
            assert run.probe(within_s=20) < 5.0 + SLACK_S
    run.check()
    assert worker.process.poll() is None
    assert len(complaints(worker)) < 30


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["password changed", "rights taken"])
def test_b12_rights_that_change_mid_run_are_no_spin_and_no_secret_in_the_log(
    start_worker: StartWorker, fault_run: StartRun, own_redis: StartRedis, fault: str
) -> None:
    server = own_redis(password="s3cret-word")
    run = fault_run(server.url)
    worker = start_worker(concurrency=2, url=server.url, SORTGATE_SOCKET_TIMEOUT_S="2", **FAST)
    with run.producing():
        run.working()
        before = len(complaints(worker))
        cpu = psutil.Process(worker.pid).cpu_times()
        if fault == "password changed":
            run.redis.execute_command("ACL", "SETUSER", "default", "resetpass", ">an0ther-word")
            run.redis.client_kill_filter(_type="normal", skipme=True)
        else:
            run.redis.execute_command("ACL", "SETUSER", "default", "-evalsha", "-xreadgroup")
        time.sleep(8.0)
        used = psutil.Process(worker.pid).cpu_times()
        assert used.user + used.system - cpu.user - cpu.system < 4.0, "it does not spin"
        assert len(complaints(worker)) - before <= 8 + 4, "about a line a second"
        run.redis.execute_command("ACL", "SETUSER", "default", "resetpass", ">s3cret-word", "+@all")
        run.probe(within_s=20)
    run.check()
    assert worker.process.poll() is None
    assert "s3cret-word" not in worker.output()
    assert "an0ther-word" not in worker.output()

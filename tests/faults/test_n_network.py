"""N: a network that is slow, silent, torn, narrow or gone, between a worker and its Redis."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from faultrun import FAST, SLACK_S, FaultRun, seeds
from poison import with_plugin
from sortgate.faults import ChaosProxy

pytestmark = pytest.mark.slow
StartWorker = Callable[..., Any]
MakeBundle = Callable[..., Path]

#: At 6 ms a text, the 512 that a worker takes in hand take 3 s.
UNHURRIED_PLUGIN = """
import time
from sortgate import hookimpl

def unhurried(text):
    time.sleep(0.006)
    return text

@hookimpl
def sortgate_register_normalizers(register):
    register("test.plugin.v1", lambda: unhurried)
"""


@pytest.fixture
def start_behind(start_worker: StartWorker, proxy: ChaosProxy, redis_url: str) -> StartWorker:
    """Start a worker that reaches its streams through the proxy, and Celery's broker as well when told to."""

    def start(*, broker_too: bool = True, **options: Any) -> Any:
        broker = proxy.url if broker_too else redis_url
        return start_worker(url=proxy.url, SORTGATE_BROKER_URL=broker, **{**FAST, **options})

    return start


@seeds()
def test_n1_a_slow_network_costs_no_lease(
    start_behind: StartWorker, run: FaultRun, proxy: ChaosProxy, chance: random.Random
) -> None:
    worker = start_behind(concurrency=2)
    slow_down(proxy, chance)
    with run.producing(chunk=50):
        time.sleep(5.0)
    counts = run.check()
    assert run.counter("reclaimed") == 0, "no lease ran out"
    assert run.counter("suppressed") <= counts.ok / 100
    assert worker.process.poll() is None


def slow_down(proxy: ChaosProxy, chance: random.Random) -> None:
    """Let each way take 0.1 s and up to 0.1 s more."""
    for way in (proxy.up, proxy.down):
        way.delay_s, way.jitter_s = 0.1, chance.uniform(0.02, 0.1)


@seeds()
def test_n1_texts_held_for_longer_than_a_lease_are_kept_on_a_slow_network(
    start_behind: StartWorker, make_bundle: MakeBundle, run: FaultRun, proxy: ChaosProxy, chance: random.Random,
    tmp_path: Path,
) -> None:  # fmt: skip
    """Two workers that hold their texts for longer than a lease, which is five times a round trip."""
    serving = with_plugin(make_bundle, tmp_path, UNHURRIED_PLUGIN)
    workers = [start_behind(**serving, SORTGATE_LEASE_S="2") for _ in range(2)]
    slow_down(proxy, chance)
    run.submit(3000)
    counts = run.check()
    assert run.counter("reclaimed") == 0, "no lease ran out"
    assert run.counter("suppressed") <= counts.ok / 100
    assert all(worker.process.poll() is None for worker in workers)


@pytest.mark.parametrize("outage_s", [5.0, 30.0])
@pytest.mark.parametrize("way", ["up", "down"])
def test_n2_one_direction_falls_silent(
    start_behind: StartWorker, run: FaultRun, proxy: ChaosProxy, way: str, outage_s: float
) -> None:
    worker = start_behind(concurrency=2, SORTGATE_SOCKET_TIMEOUT_S="2")
    direction = getattr(proxy, way)
    with run.producing():
        run.working()
        direction.held = True
        time.sleep(outage_s)
        direction.held = False
        assert run.probe(within_s=20) < 10.0
    run.check()
    assert worker.process.poll() is None


@seeds()
def test_n3_a_storm_of_resets(
    start_behind: StartWorker, run: FaultRun, proxy: ChaosProxy, chance: random.Random
) -> None:
    worker = start_behind(concurrency=2)
    with run.producing():
        for _ in range(50):
            time.sleep(chance.uniform(0.0, 0.3))
            proxy.reset()
        run.probe(within_s=20)
    run.check()
    assert worker.process.poll() is None


@pytest.mark.parametrize(("slice_bytes", "rate"), [(1, 0), (0, 8000)], ids=["a byte a packet", "8 kB a second"])
def test_n4_a_narrow_network_breaks_no_protocol(
    start_behind: StartWorker, run: FaultRun, proxy: ChaosProxy, slice_bytes: int, rate: int
) -> None:
    worker = start_behind(concurrency=2, broker_too=False)
    run.probe(within_s=20)
    for way in (proxy.up, proxy.down):
        way.slice_bytes, way.rate = slice_bytes, rate
    run.submit(100)
    run.check()
    assert all(result.status == "ok" for result in run.results.values())
    assert "that is no Redis" not in worker.output()


def test_n5_the_loopback_interface_goes_down(toy_models: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """In a network namespace of its own, where nobody else needs the interface."""
    done = subprocess.run(["unshare", "-Urn", "true"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no network namespaces here: {done.stderr.strip()}")
    script = Path(__file__).parents[1] / "support" / "loopbackdown.py"
    command = ["unshare", "-Urn", sys.executable, str(script), str(toy_models), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=150)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    request.node.user_properties.append(("fault", found))
    assert found["attempted"] > 0
    assert found["healed_s"] < 10.0 + SLACK_S

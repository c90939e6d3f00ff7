"""Minutes of half load with a fault every twenty seconds, each healed without help, and the check at the end.

``make soak`` takes ten minutes, ``make soak MINUTES=600`` a night; as part of `make test-all` it takes one.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from faultrun import FAST, FaultRun
from sortgate import keys
from sortgate.embedded import EmbeddedRedis
from sortgate.faults import ChaosProxy
from sortgate.types import PRIORITIES
from waiting import wait_for

MINUTES = float(os.environ.get("SORTGATE_SOAK_MINUTES", "1"))
EVERY_S = 20.0
#: Texts by which the most that two workers can is measured, and how often a second the producer submits.
MEASURED, CALLS = 20_000, 10
#: A night of more would be more than the count at its end holds in memory.
MOST_PER_S = 3_000
#: Longer than a lease and a sweep.
OUTAGE_S = 3.0
HEALED_S = 30.0


class Soak:
    """Two workers behind a proxy, a Redis of their own, and what may happen to them."""

    def __init__(
        self, server: EmbeddedRedis, proxy: ChaosProxy, start: Callable[[], Any], chance: random.Random
    ) -> None:
        self.server, self.proxy, self.chance = server, proxy, chance
        self._start = start
        self.workers = [start(), start()]

    def _replaced(self, number: int) -> None:
        """Start a worker in the place of one that is gone, as whatever supervises it would."""
        self.workers[number] = self._start()

    def a_pool_process_is_killed(self) -> None:
        worker = self.chance.choice(self.workers)
        wait_for(lambda: worker.children, what="pool processes")
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.chance.choice(worker.children), signal.SIGKILL)

    def a_worker_is_killed(self) -> None:
        number = self.chance.randrange(2)
        self.workers[number].kill()
        self._replaced(number)

    def a_worker_is_replaced(self) -> None:
        number = self.chance.randrange(2)
        assert self.workers[number].stop() == 0
        self._replaced(number)

    def a_worker_is_stopped_and_goes_on(self) -> None:
        worker = self.chance.choice(self.workers)
        os.killpg(worker.pid, signal.SIGSTOP)
        time.sleep(OUTAGE_S)
        os.killpg(worker.pid, signal.SIGCONT)

    def every_link_is_cut(self) -> None:
        self.proxy.reset()

    def every_link_is_silent(self) -> None:
        self.proxy.up.held = self.proxy.down.held = True
        time.sleep(OUTAGE_S)
        self.proxy.up.held = self.proxy.down.held = False

    def answers_are_cut_off_midway(self) -> None:
        self.proxy.down.cut_after = self.chance.randrange(20_000)
        time.sleep(OUTAGE_S)

    def redis_is_stopped_and_goes_on(self) -> None:
        self.server.process.send_signal(signal.SIGSTOP)
        time.sleep(OUTAGE_S)
        self.server.process.send_signal(signal.SIGCONT)

    def redis_is_killed_and_restarted(self) -> None:
        self.server.kill()
        time.sleep(self.chance.uniform(0.1, OUTAGE_S))
        self.server.start()

    def redis_forgets_its_scripts_and_clients(self) -> None:
        with redis.Redis.from_url(self.server.url) as client:
            client.script_flush()
            client.client_kill_filter(_type="normal")

    def faults(self) -> list[Callable[[], None]]:
        return [
            self.a_pool_process_is_killed, self.a_worker_is_killed, self.a_worker_is_replaced,
            self.a_worker_is_stopped_and_goes_on, self.every_link_is_cut, self.every_link_is_silent,
            self.answers_are_cut_off_midway, self.redis_is_stopped_and_goes_on, self.redis_is_killed_and_restarted,
            self.redis_forgets_its_scripts_and_clients,
        ]  # fmt: skip

    def next(self) -> Iterator[Callable[[], None]]:
        """Yield all faults in an order of chance, then all again in another."""
        while True:
            yield from self.chance.sample(self.faults(), len(self.faults()))


def in_flight(server: EmbeddedRedis) -> int:
    """Return how many texts are enqueued or with a worker."""
    with redis.Redis.from_url(server.url) as client:
        return sum(client.xlen(keys.requests("toy", priority)) for priority in PRIORITIES)


@pytest.mark.slow
@pytest.mark.timeout(60 * MINUTES + 600)
def test_soak(
    start_worker: Callable[..., Any], fault_run: Callable[[str], FaultRun], own_redis: Callable[..., EmbeddedRedis]
) -> None:
    seed = int(os.environ.get("SORTGATE_SOAK_SEED", str(time.time_ns() % 1_000_000)))
    server = own_redis({"appendfsync": "always"}, appendonly=True)
    with ChaosProxy(server.port, seed=seed) as proxy:

        def start() -> Any:
            return start_worker(concurrency=1, url=proxy.url, SORTGATE_SOCKET_TIMEOUT_S="2", **FAST)

        soak = Soak(server, proxy, start, random.Random(seed))
        run = fault_run(proxy.url)
        started = time.monotonic()
        run.submit(MEASURED)
        with run.collecting():
            wait_for(lambda: in_flight(server) == 0, 120.0, what="the most that the workers can is known")
            most = MEASURED / (time.monotonic() - started)
            say(f"seed {seed}; half of {most:,.0f} texts/s; {MINUTES:g} minutes, a fault every {EVERY_S:g} s")
            rate = most / 2 if MINUTES <= 20 else min(most / 2, MOST_PER_S * 20 / MINUTES)
            with run.producing(chunk=max(1, round(rate / CALLS)), pause_s=1 / CALLS):
                begun = time.monotonic()
                for number, fault in enumerate(soak.next(), 1):
                    time.sleep(max(0.0, begun + number * EVERY_S - time.monotonic()))
                    if time.monotonic() > begun + 60 * MINUTES:
                        break
                    happened = time.monotonic()
                    fault()
                    run.probe(within_s=HEALED_S)
                    minutes, seconds = divmod(int(happened - begun), 60)
                    took = time.monotonic() - happened
                    name = fault.__name__.replace("_", " ")
                    left = f"{in_flight(server):,} in flight"
                    say(f"{minutes:3d}:{seconds:02d}  {name}: answers {took:.1f} s later, {left}")
            wait_for(lambda: in_flight(server) == 0, 120.0, what="what is in flight is answered")
        say(f"        {run.check()}")
        assert number > 1, "at least one fault"
        assert all(worker.process.poll() is None for worker in soak.workers)


def say(line: str) -> None:
    """Tell at once how it goes; pytest shows it with -s."""
    print(line, flush=True)

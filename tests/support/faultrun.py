"""One run of a fault: what goes in is journalled, what comes out is collected, and the shipped checker compares."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sortgate import Client, keys
from sortgate.audit import QueueAudit
from sortgate.cli.doctor import Finding, examine
from sortgate.client.connection import create_redis
from sortgate.errors import ClientError
from sortgate.journal import Journal
from sortgate.settings import Settings
from sortgate.streams.outcome import Outcome, audit_queue
from sortgate.types import Result
from waiting import wait_for

#: With how many seeds the rows with chance in them run.
SEEDS = int(os.environ.get("SORTGATE_FAULT_SEEDS", "3"))
#: Lease and sweep of every fault test but one.
FAST = {"SORTGATE_LEASE_S": "1", "SORTGATE_SWEEP_S": "0.3"}
LEASE_AND_SWEEP_S = 1.3
#: What a loaded machine may add to a bound that is about seconds.
SLACK_S = 10.0

#: Settings of Redis, by what they make of a crash of its process.
DURABILITY = {
    "always": {"appendonly": "yes", "appendfsync": "always"},
    "everysec": {"appendonly": "yes", "appendfsync": "everysec"},
    "rdb": {"save": "1 1"},
    "none": {},
}


def seeds(*, quick: bool = False) -> pytest.MarkDecorator:
    """Give a test its seeds; the first one of a quick row is part of `make test`."""
    every = range(1, SEEDS + 1)
    marks = [() if quick and seed == 1 else (pytest.mark.slow,) for seed in every]
    return pytest.mark.parametrize(
        "seed", [pytest.param(seed, marks=mark, id=f"seed{seed}") for seed, mark in zip(every, marks, strict=True)]
    )


def texts(count: int) -> list[str]:
    """Return ``count`` texts of mixed length; all say hello."""
    return [f"text number {i} says hello {'again ' * (i % 23)}" for i in range(count)]


def complaints(worker: Any) -> list[str]:
    return [line for line in worker.output().splitlines() if "WARNING" in line or "ERROR" in line]


@contextlib.contextmanager
def meanwhile(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Do ``work`` in a thread until it is told to stop, at the end of the block."""
    stop = threading.Event()
    thread = threading.Thread(target=work, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


class FaultRun:
    """A producer with a journal, a collector with a file, and the check.

    Args:
        url: Redis, as producer and collector reach it.
        folder: for journal and results.
        queue: name of the queue.
    """

    def __init__(self, url: str, folder: Path, queue: str = "toy") -> None:
        self.url, self.queue = url, queue
        self.journal_path, self.results_path = folder / "journal.jsonl", folder / "results.jsonl"
        self.results_path.touch()
        self.journal = Journal(self.journal_path)
        settings = Settings(redis_url=url, socket_timeout_s=2.0)
        self.client = Client(queue=queue, settings=settings, journal=self.journal, reconnect_s=60.0)
        self.redis = create_redis(Settings(redis_url=url))
        self.results: dict[str, Result] = {}
        self.found: Outcome | None = None
        self.figures: dict[str, Any] = {}

    def close(self) -> None:
        self.redis.close()
        self.client.close()
        self.journal.close()

    def submit(self, what: int | Sequence[str], ids: Sequence[str] | None = None) -> list[str]:
        return self.client.submit(texts(what) if isinstance(what, int) else what, ids)

    @contextlib.contextmanager
    def producing(self, chunk: int = 20, pause_s: float = 0.02) -> Iterator[None]:
        """Submit all the time; calls that fail are in the journal, and the next one is made."""

        def produce(stop: threading.Event) -> None:
            settings = Settings(redis_url=self.url, socket_timeout_s=1.0)
            with Client(queue=self.queue, settings=settings, journal=self.journal) as client:
                while not stop.wait(pause_s):
                    with contextlib.suppress(ClientError):
                        client.submit(texts(chunk))

        with meanwhile(produce):
            yield

    @contextlib.contextmanager
    def collecting(self) -> Iterator[None]:
        """Read results into the file all the time."""

        def collect(stop: threading.Event) -> None:
            settings = Settings(redis_url=self.url, socket_timeout_s=2.0)
            with Client(queue=self.queue, settings=settings, reconnect_s=60.0) as client:
                while not stop.is_set():
                    with contextlib.suppress(ClientError):
                        for _ in self._written(client, 1.0):
                            pass

        with meanwhile(collect):
            yield

    def working(self) -> None:
        """Wait until the first results are there."""
        wait_for(lambda: self.redis.xlen(keys.results(self.queue)), what="first results")

    def probe(self, within_s: float) -> float:
        """Return the seconds until an urgent text is answered: how long the queue takes to heal, not to catch up."""
        started = time.monotonic()
        assert self.client.classify("hello once more", timeout=within_s, priority="high").status == "ok"
        took = time.monotonic() - started
        self.figures["healed_s"] = round(took, 2)
        return took

    def counter(self, name: str) -> int:
        return int(self.redis.hget(keys.counters(self.queue), name) or 0)

    def collect(self, timeout_s: float = 1.0, most: int | None = None) -> None:
        """Read results into the file, as ``sortgate results`` does, and keep them."""
        for result in self._written(self.client, timeout_s, most):
            self.results.setdefault(result.id, result)

    def _written(self, client: Client, timeout_s: float, most: int | None = None) -> Iterator[Result]:
        """Yield results that are in the file."""
        with self.results_path.open("ab") as file:
            for result in client.results(timeout_s, most):
                file.write(msgspec.json.encode(result) + b"\n")
                file.flush()
                yield result

    def outcome(self) -> Outcome:
        return audit_queue(self.redis, self.queue, [self.journal_path], [self.results_path])

    def doctor(self) -> list[Finding]:
        return list(examine(self.redis, Settings(redis_url=self.url), []))

    def check(self, timeout_s: float = 90.0, *, may_lose: bool = False) -> QueueAudit:
        """Collect until nothing is in flight, wait for one result too many, and count.

        Args:
            timeout_s: for what is in flight.
            may_lose: the fault destroys what Redis keeps: what is lost is counted, not forbidden.
        """
        ends = time.monotonic() + timeout_s
        self.collect(0.3)
        while self.outcome().counts.in_flight and time.monotonic() < ends:
            self.collect(0.3)
        self.collect(1.0)
        self.found = self.outcome()
        counts = self.found.counts
        self.figures["computed_twice"] = self.counter("suppressed") + self.counter("duplicates")
        self.figures["reclaimed"] = self.counter("reclaimed")
        assert counts.in_flight == 0, counts
        assert counts.unexpected == counts.duplicated == 0, (counts, self.found.suspects)
        assert may_lose or counts.lost == 0, (counts, self.found.suspects.lost[:10])
        assert counts.attempted > 0
        return counts

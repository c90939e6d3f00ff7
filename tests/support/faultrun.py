"""One run of a fault: what goes in is journalled, what comes out is collected, and the shipped checker compares."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sortgate import Client, keys
from sortgate.audit import QueueAudit
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
        stop = threading.Event()

        def produce() -> None:
            settings = Settings(redis_url=self.url, socket_timeout_s=1.0)
            with Client(queue=self.queue, settings=settings, journal=self.journal) as client:
                while not stop.wait(pause_s):
                    with contextlib.suppress(ClientError):
                        client.submit(texts(chunk))

        thread = threading.Thread(target=produce)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

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
        """Read results into the file, as ``sortgate results`` does."""
        with self.results_path.open("ab") as file:
            for result in self.client.results(timeout_s, most):
                file.write(msgspec.json.encode(result) + b"\n")
                file.flush()
                self.results.setdefault(result.id, result)

    def outcome(self) -> Outcome:
        return audit_queue(self.redis, self.queue, [self.journal_path], [self.results_path])

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

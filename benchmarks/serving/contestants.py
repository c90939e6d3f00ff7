"""What is measured: Sortgate's streams, and everything that a user would take instead, each on the same bundle."""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import numpy as np
import psutil
import redis
from environments import python_of
from texts import repeated
from workers import ProcessorTime, drain, running, serving, stopped

from sortgate import Classifier, keys
from sortgate.encoded import Encoded

#: Texts answered before anything is measured.
WARM_UP = 256
#: Connections of the HTTP yardstick's generator, and batch sizes that the ceiling is tried with.
CONNECTIONS, BATCHES = 128, (8, 16, 32, 64, 128)


@dataclass(frozen=True)
class Case:
    """One bundle and its texts.

    Attributes:
        bundle: the version's folder.
        texts: to classify, each contestant from the first on, again and again.
        url: of Redis, without a database's number.
        server: Redis's process.
        processes: that classify.
        seconds: how long a run should last at least; how many texts that takes is tried first.
        workers: of Sortgate, each with so many processes.
    """

    bundle: Path
    texts: Sequence[str]
    url: str
    server: psutil.Process
    processes: int
    seconds: float
    workers: int = 1

    def enough(self, rate: float) -> list[str]:
        """Return texts for a run, given about how many are answered a second."""
        return repeated(self.texts, max(WARM_UP, round(rate * self.seconds)))


class Measured(NamedTuple):
    """Of one run: texts a second, the label of each text, processor time by part, and Redis's before and after."""

    texts_per_s: float
    labels: list[str | None]
    us_per_text: Mapping[str, float] = MappingProxyType({})
    redis_us: Mapping[str, float] = MappingProxyType({})


class Contestant(Protocol):
    """Answers a case's texts."""

    name: str

    def measure(self, case: Case) -> Measured:
        """Return what one run came to."""


@dataclass
class Streams:
    """``sortgate worker``, one text a message."""

    name: str = "Sortgate streams"

    def measure(self, case: Case) -> Measured:
        """Fill the queue while the worker is stopped, then drain it."""
        queue = "bench"
        link = redis.Redis.from_url(case.url)
        link.flushall()

        def stored() -> int:
            return int(link.xlen(keys.results(queue)))

        with contextlib.ExitStack() as stack:
            started = [
                stack.enter_context(serving(case.url, case.bundle, case.processes, queue)) for _ in range(case.workers)
            ]
            workers, client = [one.worker for one in started], started[0].client
            trial = repeated(case.texts, WARM_UP * 4 * case.workers)
            client.submit(trial)
            rate = len(trial) / drain(stored, len(trial))
            link.delete(keys.results(queue))
            texts = case.enough(rate)
            parts = {"main": workers, "pool": [child for worker in workers for child in worker.children()]}
            with contextlib.ExitStack() as pause:
                for worker in workers:
                    pause.enter_context(stopped(worker))
                before = ProcessorTime({"enqueuing": [case.server]})
                ids = client.submit(texts)
                redis_us = before.us_per_text(len(texts))
                spent = ProcessorTime({**parts, "redis": [case.server]})
            seconds = drain(stored, len(texts))
            used = spent.us_per_text(len(texts))
            after = ProcessorTime({"collecting": [case.server]})
            found = {made.id: made.label for made in client.results(timeout=5, max=len(texts))}
            redis_us |= after.us_per_text(len(texts))
        return Measured(len(texts) / seconds, [found[one] for one in ids], used, redis_us)


@dataclass
class CeleryTasks:
    """A hand-written Celery task: one text, or ``texts_a_task``."""

    texts_a_task: int = 1
    environment: str = ""
    application: str = "celery_app"
    name: str = field(init=False)

    def __post_init__(self) -> None:
        if self.environment:
            self.name = "celery-batches"
        else:
            self.name = f"Celery, {self.texts_a_task} text{'' if self.texts_a_task == 1 else 's'} a task"

    def measure(self, case: Case) -> Measured:
        """Fill the queue while the worker is stopped, then drain it; tasks and results have a database each."""
        from celery import Celery

        broker, results = f"{case.url.removesuffix('/0')}/1", f"{case.url.removesuffix('/0')}/2"
        link = redis.Redis.from_url(results)
        link.flushall()
        app = Celery("yardstick", broker=broker, backend=results)
        app.conf.result_expires = 3600
        python = str(python_of(self.environment)) if self.environment else sys.executable
        command = [python, "-m", "celery", "-A", self.application, "worker", "-c", str(case.processes)]
        command += ["--without-mingle", "--without-gossip", "--without-heartbeat", "-l", "warning"]
        env = {"BENCH_BROKER": broker, "BENCH_RESULTS": results, "BENCH_BUNDLE": str(case.bundle)}
        many = self.texts_a_task > 1
        task = "yardstick.classify_many" if many else "yardstick.classify"

        def send(texts: Sequence[str]) -> list[str]:
            parts = [texts[at : at + self.texts_a_task] for at in range(0, len(texts), self.texts_a_task)]
            return [app.send_task(task, (part if many else part[0],), ignore_result=False).id for part in parts]

        def ready() -> bool:
            sent = app.send_task(task, ([case.texts[0]] if many else case.texts[0],))
            return bool(sent.get(timeout=60))

        def answered(texts: Sequence[str]) -> tuple[float, list[str]]:
            before = int(link.dbsize())
            with stopped(worker):
                ids = send(texts)
            return drain(lambda: int(link.dbsize()) - before, len(ids)), ids

        with running(command, env, ready) as worker:
            trial = repeated(case.texts, WARM_UP * self.texts_a_task if many else WARM_UP * 2)
            rate = len(trial) / answered(trial)[0]
            texts = case.enough(rate)
            seconds, ids = answered(texts)
        found = [json.loads(value)["result"] for value in link.mget([f"celery-task-meta-{one}" for one in ids])]
        labels = [made["label"] for part in found for made in (part if many else [part])]
        return Measured(len(texts) / seconds, labels)


@dataclass
class Http:
    """LitServe, asked over connections that are kept open; the generator runs beside it, on the same cores."""

    name: str = "LitServe, batching"

    def measure(self, case: Case) -> Measured:
        """Ask from :data:`CONNECTIONS` connections at once."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        env = {"BENCH_BUNDLE": str(case.bundle), "BENCH_PORT": str(port), "BENCH_PROCESSES": str(case.processes)}

        def ready() -> bool:
            time.sleep(0.2)
            try:
                return len(asyncio.run(_ask(port, case.texts[:1]))) == 1
            except (OSError, ValueError):
                return False

        with running([str(python_of("http")), "http_app.py"], env, ready):
            started = time.perf_counter()
            asyncio.run(_ask(port, repeated(case.texts, WARM_UP * 4)))
            texts = case.enough(WARM_UP * 4 / (time.perf_counter() - started))
            started = time.perf_counter()
            labels = asyncio.run(_ask(port, texts))
            return Measured(len(texts) / (time.perf_counter() - started), labels)


async def _ask(port: int, texts: Sequence[str]) -> list[str | None]:
    """Return the labels of texts, each asked for by a request of its own."""
    labels: list[str | None] = [None] * len(texts)
    waiting = iter(enumerate(texts))

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for index, text in waiting:
            body = json.dumps({"text": text}).encode()
            head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
            writer.write(head.encode() + b"\r\n\r\n" + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            if not answer.startswith(b"HTTP/1.1 200"):
                raise ValueError(answer.decode())
            size = int(answer.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            labels[index] = json.loads(await reader.readexactly(size))["label"]
        writer.close()

    await asyncio.gather(*(connection() for _ in range(min(CONNECTIONS, len(texts)))))
    return labels


@dataclass
class Ceiling:
    """ONNX Runtime alone: ids made before, sorted by length, batches of the best size, a process a core."""

    name: str = "ONNX Runtime alone (ceiling)"
    _best: dict[Path, tuple[int, float]] = field(default_factory=dict)

    def measure(self, case: Case) -> Measured:
        """Run the session in ``case.processes`` processes at once, over equal shares."""
        if case.bundle not in self._best:
            tried = {size: _run_sessions(case, repeated(case.texts, 4096), size)[0] for size in BATCHES}
            size = max(tried, key=lambda one: tried[one])
            self._best[case.bundle] = (size, tried[size])
        size, rate = self._best[case.bundle]
        texts = case.enough(rate)
        reached, labels = _run_sessions(case, texts, size)
        return Measured(reached, labels)


def _run_sessions(case: Case, texts: Sequence[str], size: int) -> tuple[float, list[str | None]]:
    """Return texts a second and labels, with batches of ``size`` texts."""
    processes = multiprocessing.get_context("spawn")
    barrier, results = processes.Barrier(case.processes), processes.SimpleQueue()
    workers = [
        processes.Process(
            target=_session, args=(case.bundle, list(texts[number :: case.processes]), size, barrier, results, number)
        )
        for number in range(case.processes)
    ]
    for worker in workers:
        worker.start()
    found = [results.get() for _ in workers]
    for worker in workers:
        worker.join()
    labels: list[str | None] = [None] * len(texts)
    for number, _, _, chosen in found:
        labels[number :: case.processes] = chosen
    seconds = max(ended for _, _, ended, _ in found) - min(started for _, started, _, _ in found)
    return len(texts) / seconds, labels


def _session(bundle: Path, texts: list[str], size: int, barrier: Any, results: Any, number: int) -> None:
    """Classify the texts of one process; the clock runs while sessions do."""
    classifier = Classifier.load(bundle, threads=1)
    made = {
        row: np.frombuffer(item.packed, dtype=np.int32)
        for row, item in enumerate(classifier.text_path.encode(texts))
        if isinstance(item, Encoded)
    }
    order = sorted(made, key=lambda row: len(made[row]))
    batches = []
    for at in range(0, len(order), size):
        rows = [made[row] for row in order[at : at + size]]
        padded = np.zeros((len(rows), max(map(len, rows))), dtype=np.int32)
        for row, ids in enumerate(rows):
            padded[row, : len(ids)] = ids
        batches.append((padded, np.array([len(ids) for ids in rows], dtype=np.int32)))
    classifier.session.run(*batches[0])
    barrier.wait()
    started = time.monotonic()
    best = [classifier.session.run(*batch).argmax(axis=1) for batch in batches]
    ended = time.monotonic()
    chosen: list[str | None] = [None] * len(texts)
    for row, label in zip(order, np.concatenate(best), strict=True):
        chosen[row] = classifier.labels[label]
    results.put((number, started, ended, chosen))

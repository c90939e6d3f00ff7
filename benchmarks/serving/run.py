"""Texts a second through Sortgate's streams and through one-text-a-task Celery, on the same bundle, texts and cores.

Both queues are filled while the workers are stopped, then drained by two processes with results stored; runs alternate
and medians are reported, also of the processor time that each part of the streams' side spends on a text. Coalescing
and caches do not exist in either path.

Usage: python benchmarks/serving/run.py BUNDLE TEXTS.csv[.gz] [--runs 5] [--json] [--constant]
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import gzip
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import redis
from constant_model import constant_bundle

from sortgate import Client, keys
from sortgate.embedded import EmbeddedRedis

HERE = Path(__file__).parent
PROCESSES = 2
#: The streams drain tens of thousands of texts a second: fewer would measure the start more than the flow.
LEAST_TEXTS = 60_000


def read_texts(path: Path) -> list[str]:
    """Return the ``text`` column of a CSV file."""
    opener = gzip.open if path.suffix == ".gz" else open
    csv.field_size_limit(1 << 30)
    with opener(path, "rt", encoding="utf-8", newline="") as file:
        return [row["text"] for row in csv.DictReader(file)]


@contextlib.contextmanager
def process(command: list[str], env: dict[str, str], ready: Callable[[], bool]) -> Iterator[psutil.Process]:
    """Run a worker; it is ready when it has answered its first text."""
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen(
            command, env={**os.environ, **env}, cwd=HERE, stdout=log, stderr=log, start_new_session=True
        )
        try:
            deadline = time.monotonic() + 60
            while not ready():
                if child.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise SystemExit(f"worker did not start:\n{log.read().decode()}")
            yield psutil.Process(child.pid)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()


@contextlib.contextmanager
def stopped(worker: psutil.Process) -> Iterator[None]:
    """Keep a worker and its pool from running while its queue is filled."""
    os.killpg(worker.pid, signal.SIGSTOP)
    yield
    os.killpg(worker.pid, signal.SIGCONT)


def drain(count: Callable[[], int], wanted: int) -> float:
    """Return the seconds until ``wanted`` results are stored."""
    started = time.perf_counter()
    deadline = started + 600
    while count() < wanted:
        if time.perf_counter() > deadline:
            raise SystemExit(f"only {count()} of {wanted} results came")
        time.sleep(0.02)
    return time.perf_counter() - started


class ProcessorTime:
    """Processor seconds, user and system, spent by the parts of the streams' side since it was made."""

    def __init__(self, worker: psutil.Process, server: int) -> None:
        self._parts = {"main": [worker], "pool": worker.children(), "redis": [psutil.Process(server)]}
        self._before = self._seconds()

    def _seconds(self) -> dict[str, float]:
        return {
            name: sum(sum(process.cpu_times()[:2]) for process in processes) for name, processes in self._parts.items()
        }

    def us_per_text(self, texts: int) -> dict[str, float]:
        """Microseconds a text, by part."""
        return {name: (seconds - self._before[name]) / texts * 1e6 for name, seconds in self._seconds().items()}


def measure_streams(url: str, server: int, bundle: Path, texts: list[str]) -> tuple[float, dict[str, float]]:
    """Texts a second through ``sortgate worker``, and processor microseconds a text by part."""
    queue = "bench"
    link = redis.Redis.from_url(url)
    link.flushall()
    env = {"SORTGATE_REDIS_URL": url, "SORTGATE_DEDUPE_WINDOW_S": "600"}
    models, name = bundle.parent.parent, bundle.parent.name
    command = [sys.executable, "-m", "sortgate", "worker", "--models", str(models), "--queues", f"{queue}={name}"]
    command += ["--concurrency", str(PROCESSES), "--loglevel", "warning"]
    with Client(url, queue=queue) as client:

        def ready() -> bool:
            return client.classify(texts[0], timeout=60).status == "ok"

        with process(command, env, ready) as worker:
            client.submit(texts[:2000])
            drain(lambda: int(link.xlen(keys.results(queue))), len(texts[:2000]))
            link.delete(keys.results(queue))
            with stopped(worker):
                client.submit(texts)
                spent = ProcessorTime(worker, server)
            seconds = drain(lambda: int(link.xlen(keys.results(queue))), len(texts))
            return len(texts) / seconds, spent.us_per_text(len(texts))


def measure_celery(url: str, bundle: Path, texts: list[str]) -> float:
    """Texts a second through one Celery task a text."""
    link = redis.Redis.from_url(url)
    link.flushall()
    os.environ.update(BENCH_REDIS_URL=url, BENCH_BUNDLE=str(bundle))
    from celery_yardstick import classify

    command = [sys.executable, "-m", "celery", "-A", "celery_yardstick", "worker", "-c", str(PROCESSES)]
    command += ["--without-mingle", "--without-gossip", "--without-heartbeat", "-l", "warning"]

    def results() -> int:
        return sum(1 for _ in link.scan_iter("celery-task-meta-*", count=10_000))

    def ready() -> bool:
        return bool(classify.delay(texts[0]).get(timeout=60)["label"])

    with process(command, {}, ready) as worker:
        for text in texts[:200]:
            classify.apply_async((text,))
        drain(results, 201)
        with stopped(worker):
            for text in texts:
                classify.apply_async((text,))
        seconds = drain(results, 201 + len(texts))
    return len(texts) / seconds


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--celery-texts", type=int, default=3000, help="texts a run of the slower yardstick")
    parser.add_argument("--constant", action="store_true", help="a model of constant logits instead: the engine alone")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    texts = read_texts(options.texts)
    while len(texts) < LEAST_TEXTS:
        texts += texts
    rates: dict[str, list[float]] = {"streams": [], "celery": []}
    spent: list[dict[str, float]] = []
    with EmbeddedRedis() as server, tempfile.TemporaryDirectory() as folder:
        bundle = options.bundle.resolve()
        if not (bundle / "manifest.json").exists():
            bundle = max(path for path in bundle.iterdir() if (path / "manifest.json").exists())
        if options.constant:
            bundle = constant_bundle(bundle, Path(folder) / "models" / "constant")
        for run in range(options.runs):
            rate, parts = measure_streams(server.url, server.process.pid, bundle, texts)
            rates["streams"].append(rate)
            spent.append(parts)
            rates["celery"].append(measure_celery(server.url, bundle, texts[: options.celery_texts]))
            print(f"run {run + 1}: " + ", ".join(f"{k} {v[-1]:,.0f}/s" for k, v in rates.items()), file=sys.stderr)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    ratio = medians["streams"] / medians["celery"]
    budget = {part: round(statistics.median(run[part] for run in spent), 1) for part in spent[0]}
    if options.json:
        found = {"texts_per_s": rates, "median": medians, "ratio": ratio, "processor_us_per_text": budget}
        print(json.dumps({**found, "constant_model": options.constant}))
        return
    print(
        f"model: {'constant logits' if options.constant else bundle}, {PROCESSES} processes, medians of {options.runs}"
    )
    print(f"  Sortgate streams                 {medians['streams']:>9,.0f} texts/s")
    print(f"  Celery, one text a task          {medians['celery']:>9,.0f} texts/s")
    print(f"  ratio                            {ratio:>9.1f}")
    parts = ", ".join(f"{part} {us:.0f}" for part, us in budget.items())
    print(f"  streams, processor time a text   {sum(budget.values()):>9.0f} µs ({parts})")


if __name__ == "__main__":
    main()

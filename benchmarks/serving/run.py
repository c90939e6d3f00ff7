"""Texts a second through Sortgate's streams and through one-text-a-task Celery, on the same bundle, texts and cores.

Both queues are filled while the workers are stopped, then drained by two processes with results stored; runs alternate
and medians are reported. Coalescing and caches do not exist in either path.

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


def measure_streams(url: str, bundle: Path, texts: list[str]) -> float:
    """Texts a second through ``sortgate worker``."""
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
            seconds = drain(lambda: int(link.xlen(keys.results(queue))), len(texts))
    return len(texts) / seconds


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
    while len(texts) < 20_000:
        texts += texts
    rates: dict[str, list[float]] = {"streams": [], "celery": []}
    with EmbeddedRedis() as server, tempfile.TemporaryDirectory() as folder:
        bundle = options.bundle.resolve()
        if not (bundle / "manifest.json").exists():
            bundle = max(path for path in bundle.iterdir() if (path / "manifest.json").exists())
        if options.constant:
            bundle = constant_bundle(bundle, Path(folder) / "models" / "constant")
        for run in range(options.runs):
            rates["streams"].append(measure_streams(server.url, bundle, texts))
            rates["celery"].append(measure_celery(server.url, bundle, texts[: options.celery_texts]))
            print(f"run {run + 1}: " + ", ".join(f"{k} {v[-1]:,.0f}/s" for k, v in rates.items()), file=sys.stderr)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    ratio = medians["streams"] / medians["celery"]
    if options.json:
        print(json.dumps({"texts_per_s": rates, "median": medians, "ratio": ratio, "constant_model": options.constant}))
        return
    print(
        f"model: {'constant logits' if options.constant else bundle}, {PROCESSES} processes, medians of {options.runs}"
    )
    print(f"  Sortgate streams                 {medians['streams']:>9,.0f} texts/s")
    print(f"  Celery, one text a task          {medians['celery']:>9,.0f} texts/s")
    print(f"  ratio                            {ratio:>9.1f}")


if __name__ == "__main__":
    main()

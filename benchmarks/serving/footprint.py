"""What a worker costs besides processor time: seconds to its first label, and memory; and how fast texts get in.

The start is from the command to the label of a text that was waiting. Memory is what each process has for itself (USS)
and what the whole tree has (PSS: processes that share a page share its bytes). Enqueueing is
``Client.submit`` of 10,000 texts at a time, no worker running.

Usage: python benchmarks/serving/footprint.py BUNDLE TEXTS.csv[.gz] [--texts 100000] [--runs 5] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import redis
from texts import read_texts, repeated
from workers import drain, running, serving, worker_command

from sortgate import Client, keys
from sortgate.bundle import Bundle
from sortgate.embedded import EmbeddedRedis

QUEUE = "bench"


def start_s(url: str, bundle: Path, processes: int) -> float:
    """Return the seconds from the command to the first label."""
    link = redis.Redis.from_url(url)
    link.flushall()
    with Client(url, queue=QUEUE) as client:
        client.submit(["the first text"])
        started = time.perf_counter()
        ended = 0.0

        def ready() -> bool:
            nonlocal ended
            if not link.xlen(keys.results(QUEUE)):
                return False
            ended = time.perf_counter()
            return True

        with running(worker_command(bundle, processes, QUEUE), {"SORTGATE_REDIS_URL": url}, ready):
            return ended - started


def memory(url: str, bundle: Path, texts: Sequence[str], count: int, processes: int) -> dict[str, Any]:
    """Return megabytes after so many texts."""
    link = redis.Redis.from_url(url)
    link.flushall()
    with serving(url, bundle, processes, QUEUE) as (worker, client):
        done = 0
        while done < count:
            client.submit(repeated(texts, 10_000))
            drain(lambda: int(link.xlen(keys.results(QUEUE))), 10_000)
            link.delete(keys.results(QUEUE))
            done += 10_000
        children = worker.children()
        tree = [worker.memory_full_info(), *(child.memory_full_info() for child in children)]
    return {
        "child_uss_mb": [round(info.uss / 1e6, 1) for info in tree[1:]],
        "main_uss_mb": round(tree[0].uss / 1e6, 1),
        "tree_pss_mb": round(sum(info.pss for info in tree) / 1e6, 1),
    }


def enqueued_per_s(url: str, texts: Sequence[str]) -> float:
    """Return texts a second of one ``Client.submit``."""
    redis.Redis.from_url(url).flushall()
    many = repeated(texts, 10_000)
    with Client(url, queue=QUEUE) as client:
        client.submit(many[:100])
        started = time.perf_counter()
        client.submit(many)
        return len(many) / (time.perf_counter() - started)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--texts", type=int, default=100_000, dest="count", help="before memory is looked at")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    bundle, texts = Bundle.open(options.bundle.resolve()).path, read_texts(options.texts)
    with EmbeddedRedis() as server:
        starts = [start_s(server.url, bundle, options.processes) for _ in range(options.runs)]
        rates = [enqueued_per_s(server.url, texts) for _ in range(options.runs)]
        used = memory(server.url, bundle, texts, options.count, options.processes)
    figures = {
        "start_s": round(statistics.median(starts), 2), "enqueued_texts_per_s": round(statistics.median(rates)), **used
    }  # fmt: skip
    if options.json:
        print(json.dumps(figures))
        return
    print(f"  start to first label {figures['start_s']:.2f} s")
    print(f"  Client.submit of 10,000 texts: {figures['enqueued_texts_per_s']:,} texts/s")
    children = " and ".join(f"{mb:.0f}" for mb in used["child_uss_mb"])
    print(
        f"  after {options.count:,} texts: {children} MB of its own (USS) a pool process, {used['main_uss_mb']:.0f} MB "
        f"the main process, {used['tree_pss_mb']:.0f} MB in all (PSS)"
    )


if __name__ == "__main__":
    main()

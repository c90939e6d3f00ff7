"""What a worker costs besides processor time: seconds to its first label, and memory; and how fast texts get in.

The start is from the command to the label of a text that was waiting. Memory is what each process has for itself (USS)
and what the whole tree has (PSS: processes that share a page share its bytes). Enqueueing is
``Client.submit`` of 10,000 texts at a time, no worker running.

Usage: python benchmarks/serving/footprint.py BUNDLE TEXTS.csv[.gz] [--texts 100000 …] [--constant] [--runs 5] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import redis
from constant_model import constant_bundle
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


def memory(url: str, bundle: Path, texts: Sequence[str], counts: Sequence[int], processes: int) -> list[dict[str, Any]]:
    """Return megabytes, keys and an idle worker's latency after so many texts each."""
    link = redis.Redis.from_url(url)
    link.flushall()
    found = []
    with serving(url, bundle, processes, QUEUE) as (worker, client):
        done = 0
        for count in counts:
            while done < count:
                client.submit(repeated(texts, 10_000))
                drain(lambda: int(link.xlen(keys.results(QUEUE))), 10_000)
                link.delete(keys.results(QUEUE))
                done += 10_000
            tree = [worker.memory_full_info(), *(child.memory_full_info() for child in worker.children())]
            asked = []
            for text in repeated(texts, 300):
                started = time.perf_counter()
                client.classify(text, timeout=10)
                asked.append((time.perf_counter() - started) * 1000.0)
            found.append({
                "texts": done,
                "child_uss_mb": [round(info.uss / 1e6, 1) for info in tree[1:]],
                "main_uss_mb": round(tree[0].uss / 1e6, 1),
                "tree_pss_mb": round(sum(info.pss for info in tree) / 1e6, 1),
                "redis_mb": round(link.info("memory")["used_memory"] / 1e6, 1),
                "redis_keys": link.dbsize(),
                "ids_remembered": link.zcard(keys.seen(QUEUE)),
                "classify_p50_ms": round(statistics.median(asked), 2),
            })  # fmt: skip
            print(f"{done:,} texts", file=sys.stderr)
    return found


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
    parser.add_argument("--texts", type=int, default=[100_000], nargs="+", dest="counts", metavar="N",
                        help="before memory is looked at; several for several looks at one worker")  # fmt: skip
    parser.add_argument("--constant", action="store_true", help="a model of constant logits instead: the engine alone")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    bundle, texts = Bundle.open(options.bundle.resolve()).path, read_texts(options.texts)
    with EmbeddedRedis() as server, tempfile.TemporaryDirectory() as folder:
        if options.constant:
            bundle = constant_bundle(bundle, Path(folder) / bundle.parent.name)
        starts = [start_s(server.url, bundle, options.processes) for _ in range(options.runs)]
        rates = [enqueued_per_s(server.url, texts) for _ in range(options.runs)]
        looks = memory(server.url, bundle, texts, sorted(options.counts), options.processes)
    start, rate = statistics.median(starts), statistics.median(rates)
    if options.json:
        print(json.dumps({"start_s": round(start, 2), "enqueued_texts_per_s": round(rate), "after": looks}, indent=1))
        return
    print(f"  start to first label {start:.2f} s")
    print(f"  Client.submit of 10,000 texts: {rate:,.0f} texts/s")
    for look in looks:
        children = " and ".join(f"{mb:.0f}" for mb in look["child_uss_mb"])
        print(
            f"  after {look['texts']:,} texts: {children} MB of its own (USS) a pool process, "
            f"{look['main_uss_mb']:.0f} MB the main process, {look['tree_pss_mb']:.0f} MB in all (PSS); "
            f"Redis {look['redis_mb']:.0f} MB, {look['redis_keys']} keys, {look['ids_remembered']:,} ids; "
            f"classify {look['classify_p50_ms']:.2f} ms"
        )


if __name__ == "__main__":
    main()

"""How long processes wait for reads with a full queue: a simulation of a worker's hand, read by read.

A worker reads once a share of its places is free; its batches are of a fixed size, or follow ``BatchSize``. Texts
cost the same but for noise of a tenth, Redis 20 µs for each read and each commit of a text, and the first read brings a
third of what was asked for, as a blocking one may.

Usage: python benchmarks/serving/reads.py [--processes 2 8] [--text-us 300 600] [--json]
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import random
from typing import Any, Protocol

from sortgate.worker.batch_size import SMALL, BatchSize

LIMIT, SECONDS, NOISE = 512, 60.0, 0.1
#: Of Redis for a text, and for a command; of the pipe for a batch.
TEXT_S, COMMAND_S, BATCH_S = 20e-6, 200e-6, 1e-3


class Size(Protocol):
    """What the simulation needs of a batch size."""

    most: int

    def took(self, texts: int, seconds: float) -> None:
        """Take note of a batch."""


class Fixed:
    """Always the same size."""

    most = SMALL

    def took(self, texts: int, seconds: float) -> None:
        """Learn nothing."""


SIZES = {"fixed": Fixed, "growing": lambda: BatchSize(LIMIT)}


def idle_share(size: Size, processes: int, text_s: float, free: float, seed: int = 0) -> float:
    """Return the share of the processes' time in which they had nothing to do, the first tenth of it left out.

    Args:
        size: of the batches.
        processes: of the worker.
        text_s: what a text costs a process, in seconds.
        free: share of the places in hand that is free when the worker reads.
        seed: of the noise.
    """
    noise = random.Random(seed)
    order = itertools.count()
    events: list[tuple[float, int, str, int]] = []
    in_hand = waiting = running = 0
    redis_free = now = busy_s = 0.0
    reading, first = False, True

    def redis(kind: str, texts: int) -> None:
        nonlocal redis_free
        redis_free = max(now, redis_free) + COMMAND_S + texts * TEXT_S
        heapq.heappush(events, (redis_free, next(order), kind, texts))

    def read() -> None:
        nonlocal reading, first
        capacity = 2 * processes * size.most
        room = capacity - in_hand
        if not reading and room > 0 and room >= free * capacity:
            reading = True
            redis("read", room // 3 if first else room)
            first = False

    def fill() -> None:
        nonlocal waiting, running, busy_s
        while waiting and running < processes:
            texts = min(size.most, -(-waiting // (processes - running)))
            waiting, running = waiting - texts, running + 1
            seconds = texts * text_s * (1.0 + noise.gauss(0.0, NOISE)) + BATCH_S
            busy_s += min(seconds, SECONDS - now) if now > SECONDS / 10.0 else 0.0
            heapq.heappush(events, (now + seconds, next(order), f"done {seconds}", texts))

    read()
    while events and (event := heapq.heappop(events))[0] < SECONDS:
        now, _, kind, texts = event
        if kind == "read":
            reading, in_hand, waiting = False, in_hand + texts, waiting + texts
        elif kind == "confirmed":
            in_hand -= texts
        else:
            running -= 1
            size.took(texts, float(kind.removeprefix("done ")))
            fill()
            redis("confirmed", texts)
        fill()
        read()
    return max(0.0, 1.0 - busy_s / (processes * SECONDS * 0.9))


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--text-us", type=float, nargs="+", default=[300.0, 600.0, 800.0], help="what a text costs")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    rows: list[dict[str, Any]] = [
        {"size": name, "read_at": free, "processes": processes, "text_us": text_us,
         "idle": round(idle_share(make(), processes, text_us / 1e6, free), 3)}
        for name, make in SIZES.items() for free in (0.5, 0.25)
        for text_us in asked.text_us for processes in asked.processes
    ]  # fmt: skip
    if asked.json:
        print(json.dumps(rows, indent=1))
        return
    print("idle share of the processes' time, %")
    print(f"{'sizes':<10} {'read at':>8} {'µs a text':>10}", *(f"{count:>5} proc." for count in asked.processes))
    for (name, free, text_us), group in itertools.groupby(
        rows, key=lambda row: (row["size"], row["read_at"], row["text_us"])
    ):
        print(f"{name:<10} {free:>8} {text_us:>10.0f}", *(f"{100.0 * row['idle']:>11.1f}" for row in group))


if __name__ == "__main__":
    main()

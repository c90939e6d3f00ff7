"""What another process, another worker and another Redis bring; the queue is filled before, results are read after.

Without ``--workers``: texts a second of one worker's two processes divided by those of one. With it: of so many workers
of one process each on this machine, beside what the model of ``simulation.py`` says from one worker's processor times;
then what it says of workers and Redis servers on machines of their own.

Usage: python benchmarks/serving/scaling.py BUNDLE TEXTS.csv[.gz] [--workers 1 2 3 4] [--runs 5] [--json]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
from contestants import Case, Measured, Streams
from simulation import Costs, simulate
from texts import read_texts

from sortgate.bundle import Bundle
from sortgate.embedded import EmbeddedRedis

#: Workers, each on a machine of its own with two processes, and Redis servers that the model is asked about.
FLEETS = [(1, 1), (2, 1), (4, 1), (8, 1), (16, 1), (16, 2), (32, 2), (32, 4), (64, 4)]


def measure(cases: Mapping[int, Case], runs: int) -> dict[int, list[Measured]]:
    """Return the runs of each case, taken in turn."""
    found: dict[int, list[Measured]] = {count: [] for count in cases}
    for run in range(runs):
        for count, case in cases.items():
            found[count].append(Streams().measure(case))
        rates = ", ".join(f"{count}: {made[-1].texts_per_s:,.0f}" for count, made in found.items())
        print(f"run {run + 1}, texts/s: {rates}", file=sys.stderr)
    return found


def by_processes(case: Case, runs: int) -> dict[str, Any]:
    """Return what two processes reach and what one does."""
    found = measure({count: dataclasses.replace(case, processes=count) for count in (1, 2)}, runs)
    ratio = statistics.median(
        two.texts_per_s / one.texts_per_s for one, two in zip(found[1], found[2], strict=True)
    )  # fmt: skip
    return {
        "texts_per_s": {count: [round(one.texts_per_s, 1) for one in made] for count, made in found.items()},
        "ratio": round(ratio, 3),
    }


def by_workers(case: Case, counts: Sequence[int], runs: int) -> dict[str, Any]:
    """Return what so many workers reach, what the model says of them, and what it says of fleets."""
    counts = sorted({1, *counts})
    found = measure({count: dataclasses.replace(case, processes=1, workers=count) for count in counts}, runs)
    cores = len(os.sched_getaffinity(0))
    used = _medians([made.us_per_text for made in found[1]])
    around = _medians([made.redis_us for made in found[1]])
    # Here the queue was filled before and results are read after; a service that lives does all of it at once.
    costs = Costs(used["redis"], used["main"], used["pool"])
    living = dataclasses.replace(costs, redis=costs.redis + sum(around.values()))
    rows = []
    for count in counts:
        reached = statistics.median(made.texts_per_s for made in found[count])
        says = simulate(costs, workers=count, cores=cores).texts_per_s
        rows.append({"workers": count, "texts_per_s": round(reached), "model": round(says)})
    fleets = [
        {"workers": workers, "servers": servers, **dataclasses.asdict(
            simulate(living, workers=workers, processes=2, shards=servers)
        )} for workers, servers in FLEETS
    ]  # fmt: skip
    return {
        "cores": cores,
        "processor_us_per_text": used,
        "redis_us_per_text": around,
        "one_redis_is_full_at": round(1e6 / living.redis),
        "here": rows,
        "fleets": fleets,
    }


def _medians(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(one[name] for one in parts), 2) for name in parts[0]}


def table(found: Mapping[str, Any]) -> str:
    """Return what a person reads."""
    if "ratio" in found:
        one, two = (statistics.median(values) for values in found["texts_per_s"].values())
        return f"  one process {one:,.0f} texts/s, two {two:,.0f}: {found['ratio']:.2f} times"
    spent = [f"{part} {us:g}" for part, us in found["processor_us_per_text"].items()]
    spent += [f"redis while {part} {us:g}" for part, us in found["redis_us_per_text"].items()]
    lines = [f"  processor time a text: {', '.join(spent)} µs"]
    lines.append(f"  one Redis is full at {found['one_redis_is_full_at']:,} texts/s")
    lines.append(f"  {found['cores']} cores, Redis on the same ones")
    lines += [
        f"    {row['workers']} workers {row['texts_per_s']:>9,} texts/s, the model says {row['model']:>9,} "
        f"({row['model'] / row['texts_per_s'] - 1:+.0%})"
        for row in found["here"]
    ]
    lines.append("  the model, a worker of two processes and a Redis each on a machine of their own")
    lines += [
        f"    {row['workers']:>3} workers, {row['servers']} Redis {row['texts_per_s']:>9,.0f} texts/s, "
        f"Redis busy {row['redis_busy']:.0%}"
        for row in found["fleets"]
    ]
    return "\n".join(lines)


def main() -> None:
    """Print figures, or a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--workers", type=int, nargs="+", metavar="N", help="numbers of workers to run here")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of a run, about")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with EmbeddedRedis() as server:
        process = psutil.Process(server.process.pid)
        bundle = Bundle.open(options.bundle.resolve()).path
        case = Case(bundle, read_texts(options.texts), server.url, process, 2, options.seconds)
        workers = options.workers
        found = by_workers(case, workers, options.runs) if workers else by_processes(case, options.runs)
    print(json.dumps(found, indent=1) if options.json else table(found))


if __name__ == "__main__":
    main()

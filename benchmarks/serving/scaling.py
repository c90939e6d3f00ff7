"""Texts a second of two pool processes divided by one's; the queue is filled before, results are read after.

Usage: python benchmarks/serving/scaling.py BUNDLE TEXTS.csv[.gz] [--runs 5] [--json]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
from pathlib import Path

import psutil
from contestants import Case, Streams
from texts import read_texts

from sortgate.bundle import Bundle
from sortgate.embedded import EmbeddedRedis


def main() -> None:
    """Print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of a run, about")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rates: dict[int, list[float]] = {1: [], 2: []}
    with EmbeddedRedis() as server:
        process = psutil.Process(server.process.pid)
        bundle = Bundle.open(options.bundle.resolve()).path
        both = Case(bundle, read_texts(options.texts), server.url, process, 2, options.seconds)
        for run in range(options.runs):
            for count, values in rates.items():
                values.append(Streams().measure(dataclasses.replace(both, processes=count)).texts_per_s)
            print(f"run {run + 1}: {rates[1][-1]:,.0f} and {rates[2][-1]:,.0f} texts/s", file=sys.stderr)
    ratio = statistics.median(two / one for one, two in zip(rates[1], rates[2], strict=True))
    if options.json:
        print(json.dumps({"texts_per_s": rates, "ratio": round(ratio, 3)}))
        return
    one, two = (statistics.median(values) for values in rates.values())
    print(f"  one process {one:,.0f} texts/s, two {two:,.0f}: {ratio:.2f} times")


if __name__ == "__main__":
    main()

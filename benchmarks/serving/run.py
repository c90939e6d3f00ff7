"""Texts a second through Sortgate's streams and through what a user would take instead.

All on the same bundle, texts and cores. Runs alternate; medians count. Where there is a queue, it is filled while the
workers are stopped, then drained with results stored; the results are read back afterwards and compared with the
bundle's own answers. The HTTP server has no queue: it is asked over 128 connections. The ceiling is ONNX Runtime alone:
texts already turned into ids, sorted by length, in batches of the best size. Sortgate has no cache, and computes each
text that it is given.

The first run with celery-batches or LitServe installs them into environments of their own.

Usage: python benchmarks/serving/run.py BUNDLE TEXTS.csv[.gz] [BUNDLE TEXTS …] [--runs 5] [--json] [--constant]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil
from constant_model import constant_bundle
from contestants import Case, Ceiling, CeleryTasks, Contestant, Http, Measured, Streams
from texts import read_texts, repeated

from sortgate import Classifier
from sortgate.bundle import Bundle
from sortgate.embedded import EmbeddedRedis

#: Names on the command line, in the order of a round.
CONTESTANTS: dict[str, Contestant] = {
    "streams": Streams(),
    "celery": CeleryTasks(),
    "batches": CeleryTasks(environment="batches", application="batches_app"),
    "http": Http(),
    "celery100": CeleryTasks(texts_a_task=100),
    "ceiling": Ceiling(),
}
#: Share of labels that may differ from the bundle's own: int8 answers depend a little on what shares a batch.
MOST_FLIPPED = 0.005


def compare(case: Case, names: list[str], runs: int) -> dict[str, Any]:
    """Return the figures of one case."""
    truth = [made.label for made in Classifier.load(case.bundle, threads=case.processes)(case.texts)]
    found: dict[str, list[Measured]] = {name: [] for name in names}
    differing: dict[str, float] = {}
    for run in range(runs):
        for name in names:
            made = CONTESTANTS[name].measure(case)
            wanted = repeated(truth, len(made.labels))
            share = sum(one != other for one, other in zip(made.labels, wanted, strict=True)) / len(wanted)
            if share > MOST_FLIPPED:
                raise SystemExit(f"{name}: {100 * share:.2f} % of the labels are not the bundle's")
            differing[name] = max(share, differing.get(name, 0.0))
            found[name].append(made)
            print(f"run {run + 1}: {name} {made.texts_per_s:,.0f} texts/s", file=sys.stderr)
    medians = {name: statistics.median(one.texts_per_s for one in values) for name, values in found.items()}
    used = [one.us_per_text for one in found.get("streams", [])]
    return {
        "bundle": f"{case.bundle.parent.name}/{case.bundle.name}",
        "precision": Bundle.open(case.bundle).manifest.model.precision,
        "processes": case.processes,
        "texts_per_s": {name: [round(one.texts_per_s, 1) for one in values] for name, values in found.items()},
        "median": {name: round(value, 1) for name, value in medians.items()},
        "streams_divided_by": {
            name: round(statistics.median(
                ours.texts_per_s / theirs.texts_per_s
                for ours, theirs in zip(found["streams"], found[name], strict=True)
            ), 3)
            for name in names if name != "streams" and "streams" in names
        },
        "labels_that_differ": {name: round(share, 5) for name, share in differing.items()},
        "processor_us_per_text": {part: round(statistics.median(one[part] for one in used), 1) for part in used[0]}
        if used else {},
    }  # fmt: skip


def table(figures: dict[str, Any]) -> str:
    """Return what a person reads."""
    lines = [f"{figures['bundle']}, {figures['precision']}, {figures['processes']} processes"]
    for name, median in figures["median"].items():
        values = figures["texts_per_s"][name]
        ratio = figures["streams_divided_by"].get(name)
        lines.append(
            f"  {CONTESTANTS[name].name:<30} {median:>9,.0f} texts/s  ({min(values):,.0f} to {max(values):,.0f})"
            + ("" if ratio is None else f"   streams ÷ this {ratio:>7.2f}")
        )
    if used := figures["processor_us_per_text"]:
        parts = ", ".join(f"{part} {us:.0f}" for part, us in used.items())
        lines.append(f"  streams, processor time a text {sum(used.values()):>9.0f} µs ({parts})")
    return "\n".join(lines)


def main() -> None:
    """Print a table a case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=Path, nargs="+", metavar="BUNDLE TEXTS", help="folder and CSV file, in pairs")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of a run, about")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=list(CONTESTANTS), default=list(CONTESTANTS), metavar="NAME",
                        help=f"of {', '.join(CONTESTANTS)}")  # fmt: skip
    parser.add_argument("--constant", action="store_true", help="a model of constant logits instead: the engine alone")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if len(options.cases) % 2:
        parser.error("give pairs: a bundle's folder, then a file of texts")
    names = [name for name in CONTESTANTS if name in options.only]
    made = []
    with EmbeddedRedis() as server, tempfile.TemporaryDirectory() as folder:
        for bundle, file in zip(options.cases[::2], options.cases[1::2], strict=True):
            bundle = Bundle.open(bundle.resolve()).path
            if options.constant:
                bundle = constant_bundle(bundle, Path(folder) / bundle.parent.name)
            process = psutil.Process(server.process.pid)
            case = Case(bundle, read_texts(file), server.url, process, options.processes, options.seconds)
            figures = compare(case, names, options.runs)
            made.append({**figures, "texts": file.name, "constant_model": options.constant})
            if not options.json:
                print(table(figures), flush=True)
    if options.json:
        print(json.dumps(made, indent=1))


if __name__ == "__main__":
    main()

"""Accuracy of the default bundle beside what a user would take instead, on the official test files.

The baselines are the report's, B1 and B2 of :mod:`sortgate_training.report.baselines`, trained on the same texts in the
same run (validation texts included, which they have no use for).

Usage: python benchmarks/accuracy/run.py DATA_FOLDER NAME [NAME …] [--seeds 3] [--json] [--set key=value …]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from sortgate import Classifier
from sortgate_training.data import read_corpus
from sortgate_training.datafiles import find_files
from sortgate_training.metrics import measure as figures
from sortgate_training.report.baselines import train_baselines
from sortgate_training.report.statistics import mcnemar


def train(folder: Path, seed: int, settings: list[str], texts: list[str]) -> tuple[list[str | None], float, float]:
    """Train with default settings; returns the answers to ``texts``, seconds, and microseconds a text on one core."""
    with tempfile.TemporaryDirectory() as out:
        arguments = ["train", str(folder), "--out", f"{out}/bundle", "--seed", str(seed), "--json", "--no-baselines"]
        arguments += [part for setting in settings for part in ("--set", setting)]
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "sortgate", *arguments], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        seconds = time.perf_counter() - started
        classifier = Classifier.load(f"{out}/bundle")
        started = time.perf_counter()
        answers = [prediction.label for prediction in classifier(texts)]
        return answers, seconds, (time.perf_counter() - started) / len(texts) * 1e6


def measure(folder: Path, seeds: int, settings: list[str]) -> dict[str, Any]:
    """Return the figures of one data set, in per cent."""
    files = find_files([folder])
    learned, judged = read_corpus([*files.train, *files.validation]), read_corpus(files.test)
    texts, truth = judged.texts, judged.labels
    baselines = {made.name: made.answers for made in train_baselines(learned, texts)[0]}
    found = {name: figures(truth, answers) for name, answers in baselines.items()}
    best = max(found, key=lambda name: found[name].accuracy)
    best_right = np.array(baselines[best]) == np.array(truth)
    rates, macro, seconds, cost, chances = [], [], [], [], []
    for seed in range(seeds):
        given, took, microseconds = train(folder, seed, settings, texts)
        mine = figures(truth, given)
        rates.append(100 * mine.accuracy)
        macro.append(100 * mine.macro_f1)
        seconds.append(took)
        cost.append(microseconds)
        chances.append(mcnemar(np.array([a == t for a, t in zip(given, truth, strict=True)]), best_right).p)
    return {
        "texts": len(texts), **{name: 100 * made.accuracy for name, made in found.items()},
        "sortgate": statistics.mean(rates), "seeds": rates, "macro_f1": statistics.mean(macro),
        "baseline_macro_f1": 100 * found[best].macro_f1, "gain": statistics.mean(rates) - 100 * found[best].accuracy,
        "mcnemar_p": chances, "train_s": statistics.median(seconds), "us_per_text": statistics.median(cost),
    }  # fmt: skip


def main() -> None:
    """Print a row for each data set as it is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found: dict[str, Any] = {}
    if not options.json:
        print("| data | B1 | B2 | Sortgate (each seed) | gain | macro-F1 (best baseline) | p | training | µs a text |")
        print("|---|---|---|---|---|---|---|---|---|")
    for name in options.names:
        row = found[name] = measure(options.data / name, options.seeds, options.settings)
        if options.json:
            continue
        each = ", ".join(f"{rate:.2f}" for rate in row["seeds"])
        chances = ", ".join(f"{chance:.2g}" for chance in row["mcnemar_p"])
        print(
            f"| {name} | {row['B1']:.2f} | {row['B2']:.2f} | **{row['sortgate']:.2f}** ({each}) | {row['gain']:+.2f} | "
            f"{row['macro_f1']:.1f} ({row['baseline_macro_f1']:.1f}) | {chances} | {row['train_s']:.0f} s | "
            f"{row['us_per_text']:.0f} |",
            flush=True,
        )
    if options.json:
        json.dump(found, sys.stdout)
        print()


if __name__ == "__main__":
    main()

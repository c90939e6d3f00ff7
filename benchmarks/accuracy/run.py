"""Accuracy of the default bundle beside what a user would take instead, on the official test files.

Baselines, trained on the same texts in the same run (validation texts included, which they have no use for):
B1, TF-IDF of word 1–2-grams and a linear SVM; B2, the same with character 2–5-grams beside it.

Usage: python benchmarks/accuracy/run.py DATA_FOLDER NAME [NAME …] [--seeds 3] [--json] [--set key=value …]
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline, make_union
from sklearn.svm import LinearSVC

from sortgate import Classifier


def read(folder: Path, part: str) -> tuple[list[str], list[str]]:
    """Return texts and labels of a part, none when there is no such file."""
    path = folder / f"{part}.csv.gz"
    if not path.exists():
        return [], []
    csv.field_size_limit(1 << 30)
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["text"] for row in rows], [row["label"] for row in rows]


def baselines() -> dict[str, Any]:
    """Return the models by name."""

    def words() -> TfidfVectorizer:
        return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)

    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=2)
    return {
        "B1": make_pipeline(words(), LinearSVC()),
        "B2": make_pipeline(make_union(words(), characters), LinearSVC()),
    }


def train(folder: Path, seed: int, settings: list[str], texts: list[str]) -> tuple[list[str | None], float, float]:
    """Train with default settings; returns the answers to ``texts``, seconds, and microseconds a text on one core."""
    with tempfile.TemporaryDirectory() as out:
        arguments = ["train", str(folder), "--out", f"{out}/bundle", "--seed", str(seed), "--json"]
        arguments += ["--no-baselines"]
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


def mcnemar(truth: list[str], one: list[Any], other: list[Any]) -> float:
    """Return the p-value of McNemar's exact test that both are right equally often."""
    first = sum(a == t != b for t, a, b in zip(truth, one, other, strict=True))
    second = sum(b == t != a for t, a, b in zip(truth, one, other, strict=True))
    return float(binomtest(first, first + second).pvalue) if first + second else 1.0


def measure(folder: Path, seeds: int, settings: list[str]) -> dict[str, Any]:
    """Return the figures of one data set, in per cent."""
    learned, labels = read(folder, "train")
    more, more_labels = read(folder, "valid")
    texts, truth = read(folder, "test")
    answers = {
        name: list(model.fit(learned + more, labels + more_labels).predict(texts))
        for name, model in baselines().items()
    }
    accuracy = {name: 100 * float(np.mean(np.array(given) == truth)) for name, given in answers.items()}
    best = max(accuracy, key=accuracy.__getitem__)
    rates, macro, seconds, cost, chances = [], [], [], [], []
    for seed in range(seeds):
        given, took, microseconds = train(folder, seed, settings, texts)
        rates.append(100 * float(np.mean([a == t for a, t in zip(given, truth, strict=True)])))
        macro.append(100 * float(f1_score(truth, ["" if a is None else a for a in given], labels=sorted(set(truth)),
                                          average="macro")))  # fmt: skip
        seconds.append(took)
        cost.append(microseconds)
        chances.append(mcnemar(truth, given, answers[best]))
    return {
        "texts": len(texts), **accuracy, "sortgate": statistics.mean(rates), "seeds": rates,
        "macro_f1": statistics.mean(macro), "baseline_macro_f1": 100 * float(f1_score(truth, answers[best],
        average="macro")), "gain": statistics.mean(rates) - accuracy[best], "mcnemar_p": chances,
        "train_s": statistics.median(seconds), "us_per_text": statistics.median(cost),
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

"""Accuracy of the default bundle beside what a user would take instead, on the official test files.

The baselines are fastText (where it is installed) and the report's B1 and B2 of
:mod:`sortgate_training.report.baselines`, trained on the same texts in the same run. They learn from the validation
texts, too, as ``sortgate train`` does in its second training; where a text has several labels, thresholds are chosen on
these. Rows are of the data's figure, accuracy unless :data:`MACRO` names it.

Usage: python benchmarks/accuracy/run.py DATA NAME [NAME …] [--seeds 3] [--threads 2] [--jobs 1] [--json] [--set a=b]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, cast

import fasttext_baseline
import numpy as np

from sortgate import Classifier
from sortgate_training.config import TrainingConfig
from sortgate_training.data import Corpus, read_corpus
from sortgate_training.datafiles import DataFiles, find_files
from sortgate_training.labelling import LabelSet
from sortgate_training.metrics import measure, measure_sets
from sortgate_training.report.baselines import train_baselines
from sortgate_training.report.statistics import mcnemar
from sortgate_training.split import divide
from sortgate_training.thresholds import Goal

#: Data of unequal labels: their figure is macro-F1.
MACRO = {"sms_spam", "airline_tweets", "umsab_multilingual", "goemotions"}
#: Data with several labels a text, and what separates them.
SEPARATORS = {"goemotions": "|"}


class Figures(NamedTuple):
    """Per cent, and which texts are answered without a mistake."""

    accuracy: float
    macro_f1: float
    right: Any


class Run(NamedTuple):
    """A training: answers to the test texts, seconds, microseconds a text on one core, and the calibration error."""

    given: list[LabelSet]
    seconds: float
    cost: float
    ece: float | None


def judge(corpus: Corpus, given: Sequence[LabelSet]) -> Figures:
    """Return how good the answers are."""
    truth = corpus.label_sets
    right = np.array([tuple(sorted(names)) == wanted for names, wanted in zip(given, truth, strict=True)])
    if corpus.sets is None:
        made = measure(corpus.labels, [names[0] if names else None for names in given])
    else:
        made = measure_sets(truth, list(given))
    return Figures(100 * made.accuracy, 100 * made.macro_f1, right)


def train(folder: Path, seed: int, settings: list[str], texts: list[str], threads: int, separator: str | None) -> Run:
    """Train with default settings, and answer ``texts``."""
    with tempfile.TemporaryDirectory() as out:
        arguments = ["train", str(folder), "--out", f"{out}/bundle", "--seed", str(seed), "--json", "--no-baselines"]
        arguments += ["--threads", str(threads), *(("--label-separator", separator) if separator else ())]
        arguments += [part for setting in settings for part in ("--set", setting)]
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "sortgate", *arguments], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        seconds, said = time.perf_counter() - started, json.loads(done.stdout)
        classifier = Classifier.load(f"{out}/bundle")
        started = time.perf_counter()
        predictions = classifier(texts)
        cost = (time.perf_counter() - started) / len(texts) * 1e6
    if separator:
        given = [tuple(sorted(scored.label for scored in made.labels)) for made in predictions]
    else:
        given = [() if made.label is None else (made.label,) for made in predictions]
    return Run(given, seconds, cost, (said["calibration"] or {}).get("ece_after"))


def baselines(files: DataFiles, separator: str | None, judged: Corpus) -> dict[str, list[LabelSet]]:
    """Return the answers of each."""
    if separator is None:
        learned, held_out = read_corpus([*files.train, *files.validation]), None
        made, _ = train_baselines(learned, judged.texts)
    else:
        train_texts, validation = (
            read_corpus(paths, label_separator=separator) if paths else None
            for paths in (files.train, files.validation)
        )
        parts = divide(cast("Corpus", train_texts), validation, judged, TrainingConfig().split, 0, lambda _: None)
        learned, held_out = parts.train, parts.validation
        made, _ = train_baselines(learned, judged.texts, held_out=held_out, goal=Goal("f1"), again=True)
    found = {each.name: each.sets or [(label,) for label in each.answers] for each in made}
    given = fasttext_baseline.answer(learned, judged.texts, held_out)
    return found if given is None else {"fastText": given, **found}


def compare(folder: Path, seeds: int, settings: list[str], threads: int, jobs: int) -> dict[str, Any]:
    """Return the figures of one data set, by ``jobs`` trainings at a time, baselines first."""
    separator = SEPARATORS.get(folder.name)
    figure = "macro_f1" if folder.name in MACRO else "accuracy"
    files = find_files([folder])
    judged = read_corpus(files.test, label_separator=separator)
    runs, made = [], []
    with ThreadPoolExecutor(jobs) as pool:
        try:
            answers = pool.submit(baselines, files, separator, judged)
            training = [
                pool.submit(train, folder, seed, settings, judged.texts, threads, separator) for seed in range(seeds)
            ]
            rivals = {name: judge(judged, given) for name, given in answers.result().items()}
            for seed, done in enumerate(training):
                runs.append(done.result())
                made.append(judge(judged, runs[-1].given))
                reached = ", ".join(
                    f"{key} {value:.2f}" for key, value in zip(made[-1]._fields[:2], made[-1][:2], strict=True)
                )
                print(f"{folder.name}, seed {seed}: {reached}, {runs[-1].seconds:.0f} s", file=sys.stderr, flush=True)
        except BaseException:  # Ctrl-C, too: what has not begun must not begin
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    best = max(rivals, key=lambda name: getattr(rivals[name], figure))
    rates = {name: [getattr(figures, name) for figures in made] for name in ("accuracy", "macro_f1")}
    return {
        "texts": len(judged), "figure": figure, "baselines": {name: each[:2] for name, each in rivals.items()},
        "best_baseline": best, **rates, "spread": statistics.stdev(rates[figure]) if seeds > 1 else None,
        "gain": statistics.mean(rates[figure]) - getattr(rivals[best], figure),
        "mcnemar_p": [mcnemar(figures.right, rivals[best].right).p for figures in made],
        "ece": [run.ece for run in runs],
        "train_s": statistics.median(run.seconds for run in runs),
        "us_per_text": statistics.median(run.cost for run in runs),
    }  # fmt: skip


def shown(row: dict[str, Any], name: str) -> str:
    """Return a row of the table."""
    at = 0 if row["figure"] == "accuracy" else 1
    rivals = [f"{row['baselines'][rival][at]:.2f}" if rival in row["baselines"] else "–" for rival in RIVALS]
    each, mean = ", ".join(f"{rate:.2f}" for rate in row[row["figure"]]), statistics.mean(row[row["figure"]])
    other = "accuracy" if at else "macro_f1"
    chances = ", ".join(f"{chance:.2g}" for chance in row["mcnemar_p"])
    cells = [
        f"{name}{' (macro-F1)' if at else ''}", *rivals, f"**{mean:.2f}** ({each})", f"{row['gain']:+.2f}", chances,
        f"{statistics.mean(row[other]):.1f} ({row['baselines'][row['best_baseline']][1 - at]:.1f})",
        "–" if None in row["ece"] else f"{statistics.mean(row['ece']):.3f}",
        f"{row['train_s']:.0f} s", f"{row['us_per_text']:.0f}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


RIVALS = ("fastText", "B1", "B2")


def main() -> None:
    """Print a row for each data set as it is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="of each training: the weights are the same with one")
    parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        help="trainings side by side; with more, times and costs are not of an idle machine",
    )
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each data set")
    options = parser.parse_args()
    if not options.json:
        header = ["data", *RIVALS, "Sortgate (each seed)", "gain", "p", "the other figure (best baseline)", "ECE"]
        print(f"| {' | '.join([*header, 'training', 'µs a text'])} |\n|{'---|' * (len(header) + 2)}")
    for name in options.names:
        found = compare(options.data / name, options.seeds, options.settings, options.threads, options.jobs)
        print(json.dumps({"data": name, **found}) if options.json else shown(found, name), flush=True)


if __name__ == "__main__":
    main()

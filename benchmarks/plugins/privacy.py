"""What sortgate-privacy finds, what it costs, and what it does to a classifier.

Precision and recall: of the sentences that ``sortgate_privacy.corpus`` makes. An item counts as found when a mask of
its kind covers all of it; a mask is wrong when it covers nothing of an item of its kind. Time: CPU time of the data
set's training texts, the best of five passes. Accuracy: of ``sortgate train --preset fast`` with the default
normalizers, and with the masks between them, on texts split off the training file, as a mean over seeds; the official
test file stays unread.

Usage: python benchmarks/plugins/privacy.py [DATA/sms_spam] [--sentences 20000] [--seeds 3] [--json]
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
from collections import Counter
from pathlib import Path
from typing import Any

from sortgate.plugins import ComponentSpec, create_registry
from sortgate_privacy.components import FINDERS
from sortgate_privacy.corpus import make_corpus

PATHS = {
    "without": '["sortgate.nfkc.v1", "sortgate.lowercase.v1"]',
    "mask_all": '["sortgate.nfkc.v1", "privacy.mask_all.v1", "sortgate.lowercase.v1"]',
    "mask_all, all as <number>": '["sortgate.nfkc.v1", {name="privacy.mask_all.v1", params={masks={'
    'phone="<number>", card="<number>", iban="<number>", ip="<number>"}}}, "sortgate.lowercase.v1"]',
}


def found(sentences: int, seed: int) -> dict[str, dict[str, float]]:
    """Return precision and recall of each kind."""
    find = create_registry(only={"sortgate-privacy"}).create("normalizer", ComponentSpec("privacy.mask_all.v1")).find
    counts: Counter[tuple[str, str]] = Counter()
    for sentence in make_corpus(sentences, seed):
        whole = False
        for start, end, kind in find(sentence.text):
            hit = kind == sentence.kind and start < sentence.end and end > sentence.start
            counts[kind, "right" if hit else "wrong"] += 1
            whole |= hit and start <= sentence.start and sentence.end <= end
        if sentence.kind:
            counts[sentence.kind, "planted"] += 1
            counts[sentence.kind, "found"] += whole
    return {
        kind: {
            "planted": counts[kind, "planted"],
            "precision": counts[kind, "right"] / max(1, counts[kind, "right"] + counts[kind, "wrong"]),
            "recall": counts[kind, "found"] / max(1, counts[kind, "planted"]),
        }
        for kind in FINDERS
    }


def times(texts: list[str]) -> dict[str, dict[str, float]]:
    """Return microseconds a text of each component, and the share of the texts that it changes."""
    registry = create_registry(only={"sortgate-privacy"})
    made: dict[str, dict[str, float]] = {}
    for name in (entry.name for entry in registry.components() if entry.name.startswith("privacy.")):
        component = registry.create("normalizer", ComponentSpec(name))
        best = float("inf")
        for _ in range(5):
            started = time.process_time()
            for text in texts:
                component(text)
            best = min(best, time.process_time() - started)
        changed = sum(component(text) != text for text in texts) / len(texts)
        made[name] = {"us_a_text": 1e6 * best / len(texts), "changed": changed}
    return made


def accuracy(data: Path, seeds: int) -> dict[str, dict[str, float]]:
    """Return the mean accuracy and macro-F1 with each list of normalizers."""
    made = {}
    for name, normalizers in PATHS.items():
        with tempfile.TemporaryDirectory() as folder:
            metrics = [train(data, Path(folder) / str(seed), normalizers, seed) for seed in range(1, seeds + 1)]
        made[name] = {key: statistics.mean(entry[key] for entry in metrics) for key in ("accuracy", "macro_f1")}
    return made


def train(data: Path, out: Path, normalizers: str, seed: int) -> Any:
    """Train one bundle; return its metrics on the test texts split off the training file."""
    command = [
        sys.executable,
        "-m",
        "sortgate",
        "train",
        str(data / "train.csv.gz"),
        "--out",
        str(out),
        "--seed",
        str(seed),
    ]
    options = ["--preset", "fast", "--no-baselines", "--quiet", "--json", "--set", f"text.normalizers={normalizers}"]
    done = subprocess.run([*command, *options], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)["metrics"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path)
    parser.add_argument("--sentences", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result: dict[str, Any] = {"found": found(options.sentences, seed=3)}
    if options.data:
        with gzip.open(options.data / "train.csv.gz", "rt", encoding="utf-8", newline="") as file:
            texts = [row["text"] for row in csv.DictReader(file)]
        result |= {"times": times(texts), "accuracy": accuracy(options.data, options.seeds)}
    if options.json:
        print(json.dumps(result, indent=2))
        return
    for kind, row in result["found"].items():
        print(f"{kind:26} planted {row['planted']:6}  precision {row['precision']:.4f}  recall {row['recall']:.4f}")
    for name, row in result.get("times", {}).items():
        print(f"{name:26} {row['us_a_text']:6.2f} µs a text, {row['changed']:6.1%} of the texts changed")
    for name, row in result.get("accuracy", {}).items():
        print(f"{name:26} accuracy {row['accuracy']:.4f}  macro-F1 {row['macro_f1']:.4f}")


if __name__ == "__main__":
    main()

"""What the rules of sortgate-rules do to one classifier's answers, and what they cost.

``sortgate train --preset fast`` on seven tenths of the training file; the rules are judged on two other tenths, and the
per-label thresholds chosen on the last one. The official test file stays unread. Time: CPU time of each rule alone,
called for one prediction with all labels after the other, the best of five passes.

Usage: python benchmarks/plugins/rules.py DATA/banking77 [--json]
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sortgate import Classifier
from sortgate.plugins import ComponentSpec, create_registry
from sortgate.types import Prediction

REGISTRY = create_registry(only={"sortgate-rules"})
HUMAN = "human"
#: Of an answer: what a wrong one costs is 1.
HUMAN_COST = 0.3
KEYWORDS = [
    {"label": "apple_pay_or_google_pay", "any": ["apple pay", "google pay"], "below": 0.9},
    {"label": "exchange_rate", "any": ["exchange rate", "exchange rates"], "below": 0.9},
]
HOURS = {"time_zone": "Europe/Berlin", "hours": {"monday": ["09:00-17:00"]}, "outside": {"*": HUMAN}}


def make(rule: str, **params: Any) -> Any:
    """Make a rule as a bundle would."""
    return REGISTRY.create("postprocessor", ComponentSpec(f"rules.{rule}.v1", params))


class Judged:
    """Texts that the classifier has not learned from: their labels, and its predictions."""

    def __init__(self, classifier: Classifier, rows: list[dict[str, str]]) -> None:
        self.texts = [row["text"].lower() for row in rows]
        self.truth = [row["label"] for row in rows]
        self.predictions = classifier([row["text"] for row in rows])

    def after(self, rule: Any) -> list[Prediction]:
        """Return the predictions that a rule makes of these."""
        if getattr(rule, "wants_text", False):
            return [rule(made, text) for made, text in zip(self.predictions, self.texts, strict=True)]
        return [rule(made) for made in self.predictions]

    def summary(self, made: Iterable[Prediction]) -> dict[str, float]:
        """Return the share answered by the machine, how many of those are right, and the cost a text."""
        pairs = [(truth, entry.label) for truth, entry in zip(self.truth, made, strict=True)]
        answered = [pair for pair in pairs if pair[1] != HUMAN]
        wrong = sum(truth != label for truth, label in answered)
        cost = (wrong + HUMAN_COST * (len(pairs) - len(answered))) / len(pairs)
        return {"answered": len(answered) / len(pairs), "right": 1 - wrong / max(1, len(answered)), "cost": cost}


def train(data: Path, folder: Path) -> tuple[Classifier, list[dict[str, str]], list[dict[str, str]]]:
    """Train on seven tenths; return the classifier, a tenth to choose thresholds on, and two tenths to judge on."""
    with gzip.open(data / "train.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    random.Random(1).shuffle(rows)
    tenth = len(rows) // 10
    judge, choose, learn = rows[: 2 * tenth], rows[2 * tenth : 3 * tenth], rows[3 * tenth :]
    with (folder / "train.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["text", "label"])
        writer.writeheader()
        writer.writerows(learn)
    command = [sys.executable, "-m", "sortgate", "train", str(folder / "train.csv"), "--out", str(folder / "out")]
    subprocess.run([*command, "--preset", "fast", "--no-baselines", "--quiet", "--seed", "1"], check=True)
    return Classifier.load(folder / "out"), choose, judge


def chosen_thresholds(judged: Judged, goal: float) -> dict[str, float]:
    """Return for each label the lowest score from which on ``goal`` of its answers are right; 1 where none is."""
    thresholds = {}
    for label in {made.label for made in judged.predictions if made.label}:
        answers = [
            (made.score, truth == label)
            for made, truth in zip(judged.predictions, judged.truth, strict=True)
            if made.label == label
        ]
        answers.sort(reverse=True)
        right, thresholds[label] = 0, 1.0
        for count, (score, is_right) in enumerate(answers, 1):
            right += is_right
            if right / count >= goal:
                thresholds[label] = score
    return thresholds


def hierarchy(judged: Judged, threshold: float) -> dict[str, float]:
    """Read ``card_payment_fee_charged`` as a path; return how many answers are whole labels, and how many are right."""
    made = judged.after(make("hierarchy", separator="_", threshold=threshold, fallback=HUMAN))
    answers = [(truth, entry.label or "") for truth, entry in zip(judged.truth, made, strict=True)]
    answered = [pair for pair in answers if pair[1] != HUMAN]
    right = sum(f"{truth}_".startswith(f"{label}_") for truth, label in answered)
    whole = sum(label in set(judged.truth) for _, label in answered)
    return {
        "answered": len(answered) / len(answers),
        "whole": whole / len(answers),
        "right": right / max(1, len(answered)),
    }


def times(judged: Judged) -> dict[str, float]:
    """Return microseconds a prediction of each rule."""
    rules: dict[str, dict[str, Any]] = {
        "thresholds": {"default": 0.5, "fallback": HUMAN},
        "abstain": {"score": 0.5, "margin": 0.2, "label": HUMAN},
        "hierarchy": {"separator": "_"},
        "keywords": {"rules": [{key: rule[key] for key in ("label", "any")} for rule in KEYWORDS]},
        "costs": {"costs": {"*": {HUMAN: HUMAN_COST}}},
        "business_hours": HOURS,
    }
    made = {}
    for name, params in rules.items():
        rule, best = make(name, **params), float("inf")
        for _ in range(5):
            started = time.process_time()
            judged.after(rule)
            best = min(best, time.process_time() - started)
        made[name] = 1e6 * best / len(judged.texts)
    return made


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        classifier, choose, judge = train(options.data, Path(folder))
    judged = Judged(classifier, judge)
    thresholds = chosen_thresholds(Judged(classifier, choose), goal=0.95)
    rules = {"no rule": make("abstain")}
    rules |= {f"abstain, score {score}": make("abstain", score=score, label=HUMAN) for score in (0.5, 0.7, 0.9)}
    rules |= {f"abstain, margin {margin}": make("abstain", margin=margin, label=HUMAN) for margin in (0.2, 0.5)}
    rules["thresholds, 95 % a label"] = make("thresholds", labels=thresholds, fallback=HUMAN)
    rules[f"costs, a human costs {HUMAN_COST}"] = make("costs", costs={"*": {HUMAN: HUMAN_COST}})
    rules["keywords, below 0.9"] = make("keywords", rules=KEYWORDS)
    answers = {name: judged.summary(judged.after(rule)) for name, rule in rules.items()}
    paths = {f"hierarchy, threshold {threshold}": hierarchy(judged, threshold) for threshold in (0.5, 0.7, 0.9)}
    cost = times(judged)
    if options.json:
        print(json.dumps({"texts": len(judge), "rules": answers, "hierarchy": paths, "us": cost}, indent=2))
        return
    print(f"{len(judge)} texts")
    for name, row in answers.items():
        print(f"{name:26} answered {row['answered']:6.1%}  right {row['right']:6.1%}  cost {row['cost']:.3f}")
    for name, row in paths.items():
        print(f"{name:26} answered {row['answered']:6.1%}  right {row['right']:6.1%}  whole labels {row['whole']:6.1%}")
    for name, microseconds in cost.items():
        print(f"{name:26} {microseconds:6.2f} µs a prediction")


if __name__ == "__main__":
    main()

"""What the components of sortgate-nltk, -jieba, -spacy and -sklearn do to accuracy and speed, beside the default path.

Each row trains a bundle with ``sortgate train --preset fast`` from texts of a data set's training and validation files,
of which three tenths are held out and judged: never the official test file. All rows of a data set learn from the same
texts and are judged on the same; plus or minus is one standard error of the accuracy. Microseconds are processor time
a text, for texts that have been seen before: medians of nine passes, in the tokenizer with its filters alone, in the
text path up to the ids, and in all of a classification.

Usage: python benchmarks/plugins/tokenizers.py DATA_FOLDER PLUGIN [PLUGIN …] [--seed 1] [--limit N] [--texts 2000]
       [--json]
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import math
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sortgate import Classifier
from sortgate.errors import TextError

TRAINING = ("--preset", "fast", "--no-baselines", "--threads", "1", "--json", "--quiet")
SETTINGS = ("split.test=0.3", "refit=false")
PASSES = 9
COLUMNS = ("components", "accuracy, %", "macro-F1, %", "tokens", "tokenizer, µs", "to ids, µs", "classified, µs")


class Row(NamedTuple):
    """A choice of components, as values of ``--set``."""

    name: str
    settings: tuple[str, ...] = ()


def tokenizer(component: str, params: str = "", *filters: str) -> tuple[str, ...]:
    """Return the settings that choose a tokenizer and its filters."""
    return (f'text.tokenizer={{name="{component}", params={{{params}}}}}', f"text.filters=[{', '.join(filters)}]")


STEMS = '{name="nltk.snowball.v1"}'
OPINION = 'text.postprocessors=[{{name="sklearn.second_opinion.v1", params={{weight={weight}}}}}]'
DEFAULT = Row("sortgate.words.v1")
FOURS = 'analyzer="char_wb", ngram_range=[4, 4]'
#: Without the n-gram path the network needs more than the four passes of the preset.
NETWORK = ("ngrams.enabled=false", "epochs=20")

#: Plugin → data set and rows, of which the first is the yardstick.
EXPERIMENTS: dict[str, tuple[str, tuple[Row, ...]]] = {
    "nltk": (
        "airline_tweets",
        (
            DEFAULT,
            Row("nltk.tweet.v1", tokenizer("nltk.tweet.v1")),
            Row("nltk.treebank.v1", tokenizer("nltk.treebank.v1")),
            Row("sortgate.words.v1 + nltk.snowball.v1", tokenizer("sortgate.words.v1", "", STEMS)),
        ),
    ),
    "jieba": (
        "thucnews_titles",
        (
            DEFAULT,
            Row("jieba.words.v1", tokenizer("jieba.words.v1")),
            Row("jieba.words.v1, search", tokenizer("jieba.words.v1", 'mode="search"')),
            Row("jieba.words.v1, full", tokenizer("jieba.words.v1", 'mode="full"')),
        ),
    ),
    "spacy": (
        "banking77",
        (
            DEFAULT,
            Row("spacy.tokens.v1", tokenizer("spacy.tokens.v1")),
            Row("spacy.tokens.v1 + spacy.lemmas.v1", tokenizer("spacy.tokens.v1", "", '{name="spacy.lemmas.v1"}')),
        ),
    ),
    "sklearn": (
        "banking77",
        (
            DEFAULT,
            Row("sklearn.analyzer.v1", tokenizer("sklearn.analyzer.v1")),
            Row("sklearn.analyzer.v1, char_wb [4, 4]", tokenizer("sklearn.analyzer.v1", FOURS)),
            Row("default + second_opinion 0.3", (OPINION.format(weight=0.3),)),
            Row("network alone", NETWORK),
            Row("network alone + second_opinion 0.5", (*NETWORK, OPINION.format(weight=0.5))),
        ),
    ),
}  # fmt: skip


def copy_rows(folder: Path, target: Path, limit: int | None, seed: int) -> list[str]:
    """Write rows of the training file and the validation file, ``limit`` at random of them; returns their texts."""
    rows = []
    for name in ("train.csv.gz", "valid.csv.gz"):
        if (folder / name).exists():
            with gzip.open(folder / name, "rt", encoding="utf-8", newline="") as lines:
                rows += [(row["text"], row["label"]) for row in csv.DictReader(lines)]
    random.Random(seed).shuffle(rows)
    with target.open("w", encoding="utf-8", newline="") as lines:
        csv.writer(lines).writerows([("text", "label"), *rows[:limit]])
    return [text for text, _ in rows[:limit]]


def median_us(run: Callable[[Sequence[str]], object], texts: Sequence[str]) -> float:
    """Return the median microseconds of processor time a text, after a pass that does not count."""
    run(texts)
    taken = []
    for _ in range(PASSES):
        started = time.process_time()
        run(texts)
        taken.append(time.process_time() - started)
    return statistics.median(taken) / len(texts) * 1e6


def measure(data: Path, row: Row, seed: int, texts: Sequence[str]) -> dict[str, Any]:
    """Train a bundle with the row's components, judge and time it."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "sortgate", "train", str(data), "--out", f"{out}/bundle"]
        command += [*TRAINING, "--seed", str(seed)]
        for setting in (*SETTINGS, *row.settings):
            command += ["--set", setting]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{row.name}: {done.stderr.strip()}")
        figures = json.loads(done.stdout)
        assert figures["judged_on"] == "test", figures["judged_on"]
        classifier = Classifier.load(figures["bundle"], threads=1)
    path, judged = classifier.text_path, figures["metrics"]["texts"]
    accuracy = figures["metrics"]["accuracy"]
    lists = [tokens for tokens in path.tokenize(texts) if not isinstance(tokens, TextError)]
    normalized = [text for text in path._normalize(texts) if isinstance(text, str)]
    return {
        "name": row.name,
        "accuracy": 100 * accuracy,
        "error": 100 * math.sqrt(accuracy * (1 - accuracy) / judged),
        "macro_f1": 100 * figures["metrics"]["macro_f1"],
        "texts": judged,
        "tokens": statistics.fmean(map(len, lists)),
        "component_us": median_us(path._tokenize, normalized),
        "encode_us": median_us(path.encode, texts),
        "classify_us": median_us(classifier, texts),
    }


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(prog="tokenizers.py", description=__doc__.partition("\n\n")[0])
    parser.add_argument("data", type=Path, metavar="DATA_FOLDER")
    parser.add_argument("plugins", nargs="+", choices=sorted(EXPERIMENTS), metavar="PLUGIN")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit", type=int, help="take so many texts of each data set")
    parser.add_argument("--texts", type=int, default=2_000, help="that are timed")
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    arguments = parser.parse_args()
    for plugin in arguments.plugins:
        name, rows = EXPERIMENTS[plugin]
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder) / "texts.csv"
            texts = copy_rows(arguments.data / name, data, arguments.limit, arguments.seed)[: arguments.texts]
            if not arguments.json:
                print(f"\n{plugin} on {name}\n")
                print(f"| {' | '.join(COLUMNS)} |\n| --- |{' ---: |' * (len(COLUMNS) - 1)}")
            for row in rows:
                show(measure(data, row, arguments.seed, texts), plugin, name, as_json=arguments.json)


def show(made: dict[str, Any], plugin: str, data: str, *, as_json: bool) -> None:
    """Print a row."""
    if as_json:
        print(json.dumps({"plugin": plugin, "data": data, **made}), flush=True)
        return
    print(
        f"| {made['name']} | {made['accuracy']:.1f} ± {made['error']:.1f} | {made['macro_f1']:.1f} "
        f"| {made['tokens']:.1f} | {made['component_us']:.1f} | {made['encode_us']:.1f} | {made['classify_us']:.0f} |",
        flush=True,
    )


if __name__ == "__main__":
    main()

"""What the built-in text path costs a text of 40 words on one core: each step by itself, against its target.

Usage: python benchmarks/plugins/textpath.py [TEXTS.csv[.gz]] [--texts 2048] [--rounds 15] [--json]

Without a file the words of the demo's generated texts are taken. Times are CPU time of this thread, medians over rounds
in which everything is measured once, one after the other, so that a busy machine slows all of it alike.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import itertools
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sortgate.components.steps import Step
from sortgate.plugins import ComponentSpec, create_registry
from sortgate.textpath import TextConfig, TextPath

BATCH, WORDS = 64, 40
PURE = ("nfkc", "lowercase", "strip_html", "collapse_whitespace", "mask_urls", "mask_emails", "mask_numbers")
#: Microseconds a text that the issue allows, of the rows that have a target.
TARGETS = {"default word path": 25.0, "all normalizers, more than that": 15.0, "dispatch, batch form": 1.0}


class Identity:
    """Changes nothing: what is left is what calling it costs."""

    def __call__(self, text: str) -> str:
        """Return the text."""
        return text


class BatchedIdentity(Identity):
    """As above, in batches."""

    def batch(self, texts: Sequence[str]) -> list[str]:
        """Return the texts."""
        return list(texts)


def texts_of_words(sources: Sequence[str], count: int) -> list[str]:
    """Cut the sources' words, one source after the other and again from the first, into texts of 40."""
    words: Iterator[str] = itertools.chain.from_iterable(map(str.split, itertools.cycle(sources)))
    return [" ".join(itertools.islice(words, WORDS)) for _ in range(count)]


def read_sources(path: Path | None) -> list[str]:
    """Return the ``text`` column of a CSV file, or the demo's texts."""
    if path is None:
        from sortgate.demo.texts import generate

        return [text for text, _ in generate(2_000, seed=1)]
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8", newline="") as file:
        return [row["text"] for row in csv.DictReader(file)]


def steps_of(texts: list[str]) -> dict[str, Callable[[], Any]]:
    """Return what is measured, by name; each runs over all texts once."""
    registry = create_registry(only=())
    batches = [texts[at : at + BATCH] for at in range(0, len(texts), BATCH)]
    default = TextPath.create(TextConfig(), registry)
    default.fit(texts)

    def path(*normalizers: Step) -> Callable[[], Any]:
        made = TextPath(normalizers, default.tokenizer, vocabulary=default.vocabulary)
        return lambda: [made.encode(batch) for batch in batches]

    def alone(component: Any) -> Callable[[], Any]:
        if (batched := getattr(component, "batch", None)) is not None:
            return lambda: [batched(batch) for batch in batches]
        return lambda: [component(text) for text in texts]

    pure = {name: registry.create("normalizer", ComponentSpec(f"sortgate.{name}.v1")) for name in PURE}
    usual = default.normalizers
    return {
        "default word path": path(*usual),
        "words alone": alone(default.tokenizer.component),
        **{name: alone(component) for name, component in pure.items()},
        "all normalizers, more than that": path(*map(Step, pure, pure.values())),
        "dispatch, batch form": path(*usual, Step("bench.identity.v1", BatchedIdentity())),
        "dispatch, one by one": path(*usual, Step("bench.identity.v1", Identity())),
    }


def measure(texts: list[str], rounds: int) -> dict[str, float]:
    """Return microseconds a text of each step; of a longer path, by how much it takes more than the default one."""
    steps = steps_of(texts)
    found: dict[str, list[float]] = {name: [] for name in steps}
    for round_ in range(rounds + 1):  # the first one warms up
        for name, step in steps.items():
            started = time.thread_time()
            step()
            if round_:
                found[name].append((time.thread_time() - started) / len(texts) * 1e6)
    for name in ("all normalizers, more than that", "dispatch, batch form", "dispatch, one by one"):
        found[name] = [one - less for one, less in zip(found[name], found["default word path"], strict=True)]
    return {name: round(statistics.median(values), 2) for name, values in found.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", type=Path, nargs="?", metavar="TEXTS")
    parser.add_argument("--texts", type=int, default=2_048, dest="count")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(texts_of_words(read_sources(options.sources), options.count), options.rounds)
    if options.json:
        print(json.dumps({"us_a_text": found, "targets": TARGETS}, indent=1))
        return
    for name, us in found.items():
        target = f"   at most {TARGETS[name]:g}" if name in TARGETS else ""
        print(f"  {name:<32} {us:>8.2f} µs a text{target}")


if __name__ == "__main__":
    main()

"""Where a pool process spends a text's microseconds: each step of a batch by itself, in this process, on one thread.

Usage: python benchmarks/serving/parts.py BUNDLE TEXTS.csv[.gz] [--texts 5120] [--rounds 5] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from texts import read_texts, repeated

from sortgate import Classifier
from sortgate.messages import parse_request, result_fields
from sortgate.worker.answer import answer_batch, pack_answers
from sortgate.worker.entries import PackedBatch

QUEUE, BATCH, MOST_BYTES = "bench", 512, 65_536


def measure(classifier: Classifier, texts: list[str], rounds: int) -> dict[str, float]:
    """Return microseconds a text of each step, medians of the rounds; ``model`` is ONNX Runtime's part."""
    batches = [
        [
            (2, f"1700000000000-{at + row}", [b"v", b"1", b"text", text.encode(), b"id", str(at + row).encode()])
            for row, text in enumerate(texts[at : at + BATCH])
        ]
        for at in range(0, len(texts), BATCH)
    ]
    decoder = msgspec.msgpack.Decoder(PackedBatch)
    packed = [msgspec.msgpack.encode((QUEUE, 1, batch)) for batch in batches]
    requests = [[parse_request(entry, fields, QUEUE, MOST_BYTES) for _, entry, fields in batch] for batch in batches]
    wanted = [[request.text for request in batch] for batch in requests]
    predictions = [classifier(batch) for batch in wanted]
    origin = ("model", classifier.model_name, "fingerprint", classifier.fingerprint)
    answers = [answer_batch(classifier, QUEUE, 1, batch, MOST_BYTES)[0] for batch in batches]
    steps: dict[str, Callable[[], Any]] = {
        "unpack": lambda: [decoder.decode(one) for one in packed],
        "check the messages": lambda: [
            [parse_request(entry, fields, QUEUE, MOST_BYTES) for _, entry, fields in batch] for batch in batches
        ],
        "normalize, tokenize, look up": lambda: [classifier.text_path.encode(batch) for batch in wanted],
        "classify": lambda: [classifier(batch) for batch in wanted],
        "fields of the results": lambda: [
            [result_fields(request, "ok", made, origin=origin) for request, made in zip(*both, strict=True)]
            for both in zip(requests, predictions, strict=True)
        ],
        "pack": lambda: [pack_answers(one) for one in answers],
    }
    found: dict[str, list[float]] = {name: [] for name in (*steps, "model")}
    for _ in range(rounds):
        for name, step in steps.items():
            before, started = classifier.spent.model_s, time.perf_counter()
            step()
            found[name].append(time.perf_counter() - started)
            if name == "classify":
                found["model"].append(classifier.spent.model_s - before)
    return {name: round(statistics.median(values) / len(texts) * 1e6, 2) for name, values in found.items()}


def main() -> None:
    """Print the steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--texts", type=int, default=20 * BATCH, dest="count")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    classifier = Classifier.load(options.bundle, threads=1)
    found = measure(classifier, repeated(read_texts(options.texts), options.count), options.rounds)
    others = found["classify"] - found["model"] - found["normalize, tokenize, look up"]
    made = {name: us for name, us in found.items() if name != "classify"}
    made["sub-batches, scores, labels"] = round(others, 2)
    if options.json:
        print(json.dumps(made, indent=1))
        return
    for name, us in made.items():
        print(f"  {name:<30} {us:>8.1f} µs a text")


if __name__ == "__main__":
    main()

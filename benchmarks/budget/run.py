"""What a text costs to label on one core, beside a plain BiLSTM-128: from the text to its label, on both sides.

The yardstick (``plain.py``) and classifiers with the shapes of the presets (``bundles.py``) label the same real test
texts, cut or joined to 40 tokens by either tokenizer, in batches of 32. The process is bound to one core, ONNX Runtime
has one thread, and the clock is the process's processor time, so that other work on the machine costs neither side.
Rows take turns at ten batches: first from text to label, then ten others stage by stage. Figures are medians of all
turns, ratios those of the turns at the same texts. The yardstick is the fastest float32 row of the plain ones.

The budget: the default float32 bundle may cost 1.2 times the yardstick; the moonshot is 0.7 times.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import time
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

from contestant import Contestant
from plain import plain_contestants, tokenize
from texts import texts_of

from bundles import Workshop, bundle_contestant, configure
from sortgate_training.data import read_corpus
from sortgate_training.datafiles import find_files
from sortgate_training.presets import PRESETS

#: What the default bundle may cost, in times the yardstick's cost, and what would be better still.
BUDGET, MOONSHOT = 1.2, 0.7
BATCH = 32
#: Batches of a turn: few, so that a machine that is slow for a while is slow for all rows.
TURN = 10
STAGES = ("preprocessing", "model", "answers")

EXAMPLES = """examples:
  python benchmarks/budget/run.py
  python benchmarks/budget/run.py --hidden 32 48 64 96 128     # how large the network could be within the budget
  python benchmarks/budget/run.py --set model.cell=gru --no-int8
  python benchmarks/budget/run.py --bundle models/tickets --json
  python benchmarks/budget/run.py --quick                      # a minute less, and figures that only show that it works
"""


def default_data() -> Path:
    """Return the reference data set where the tests look for it, or beside the repository as the Makefile does."""
    beside = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    return Path(os.environ.get("SORTGATE_TEST_DATA") or beside) / "ag_news_partial"


def one_turn(row: Contestant, batches: list[list[str]], others: list[list[str]]) -> dict[str, float]:
    """Return microseconds a text: all of ``batches``, and each stage of ``others``."""
    row.label(batches[-1])  # another row had the processor's cache
    clock = time.process_time
    started = clock()
    for batch in batches:
        row.label(batch)
    total = clock() - started
    spent = [0.0, 0.0, 0.0]
    for batch in others:
        times = [clock()]
        encoded = row.encode(batch)
        times.append(clock())
        logits = row.logits(encoded)
        times.append(clock())
        row.answer(encoded, logits)
        times.append(clock())
        spent = [sum_ + end - start for sum_, start, end in zip(spent, times, times[1:], strict=False)]
    found = {"total": total / sum(map(len, batches))}
    found |= {name: value / sum(map(len, others)) for name, value in zip(STAGES, spent, strict=True)}
    return {name: value * 1e6 for name, value in found.items()}


def compare(rows: list[Contestant], batches: list[list[str]], rounds: int) -> list[dict[str, Any]]:
    """Label all texts ``rounds`` times with each row; returns their figures, with the yardstick's row marked."""
    turns = [batches[first : first + TURN] for first in range(0, len(batches), TURN)]
    for row in rows:
        if row.staged(batches[0]) != row.label(batches[0]):
            raise SystemExit(f"{row.name}: its stages give other answers than the whole: they are not what is served")
    measured: list[list[dict[str, float]]] = [[] for _ in rows]
    order = list(range(len(rows)))
    random = Random(0)
    for number in range(len(turns) * rounds):
        turn, other = turns[number % len(turns)], turns[(number + 1) % len(turns)]
        random.shuffle(order)  # no row always has the same one before it
        for at in order:
            measured[at].append(one_turn(rows[at], turn, other))
    found: list[dict[str, Any]] = []
    for row, times in zip(rows, measured, strict=True):
        medians = {name: statistics.median(time[name] for time in times) for name in ("total", *STAGES)}
        found.append({"name": row.name, "network": row.network, "precision": row.precision, **medians})
    plain = [at for at, row in enumerate(rows) if row.plain and row.precision == "float32"]
    yardstick = min(plain, key=lambda at: float(found[at]["total"]))
    for result, times in zip(found, measured, strict=True):
        ratios = [mine["total"] / its["total"] for mine, its in zip(times, measured[yardstick], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
        result.update(ratio=middle, quartiles=[low, high], yardstick=result is found[yardstick])
    return found


def print_table(found: list[dict[str, Any]]) -> None:
    """Print the rows, and what they say of the budget."""
    print("| | units/embedding | precision | µs a text | preprocessing | model | answers | ÷ yardstick (quartiles) |")
    print("|---|---|---|---|---|---|---|---|")
    for row in found:
        parts = " | ".join(f"{row[name]:.1f}" for name in ("total", *STAGES))
        name = f"**{row['name']}: the yardstick**" if row["yardstick"] else row["name"]
        print(
            f"| {name} | {row['network']} | {row['precision']} | {parts} | "
            f"{row['ratio']:.2f} ({row['quartiles'][0]:.2f} to {row['quartiles'][1]:.2f}) |"
        )
    for row in found:
        if row["name"] == "balanced" and row["precision"] == "float32":
            verdict = "within" if row["ratio"] <= BUDGET else "over"
            shot = "reached" if row["ratio"] <= MOONSHOT else "missed"
            print(
                f"\ndefault bundle: {row['ratio']:.2f} times the yardstick, {verdict} the budget of {BUDGET}; "
                f"moonshot of {MOONSHOT} {shot}"
            )
    grown = [row for row in found if row["name"].startswith("hidden ") and row["ratio"] <= BUDGET]
    for precision in ("float32", "int8"):
        if fitting := [row for row in grown if row["precision"] == precision]:
            largest = max(fitting, key=lambda row: int(row["name"].split()[1]))
            print(f"largest network of --hidden in the budget, {precision}: {largest['name']}, {largest['ratio']:.2f}")


def create_rows(options: argparse.Namespace, workshop: Workshop, learned: list[str]) -> Iterable[Contestant]:
    """Yield the yardstick's rows and Sortgate's."""
    prepared = workshop.prepared(configure("balanced", options.settings))
    size = len(prepared.vocabulary)
    yield from plain_contestants(learned, size, prepared.labels, int8=options.int8)
    chosen = [(preset, configure(preset, options.settings)) for preset in PRESETS]
    for hidden in options.hidden:
        settings = [*options.settings, f"model.hidden={hidden}"]
        chosen.append((f"hidden {hidden}", configure("balanced", settings)))
    for name, config in chosen:
        yield from workshop.contestants(name, config, int8=options.int8)
    yield from map(bundle_contestant, options.bundles)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=default_data(), help="folder with train and test files")
    parser.add_argument("--hidden", type=int, nargs="+", default=[], help="further networks, by units of a direction")
    parser.add_argument("--set", action="append", default=[], dest="settings", help="key=value for all of Sortgate's")
    parser.add_argument("--bundle", action="append", type=Path, default=[], dest="bundles", help="one to measure too")
    parser.add_argument("--no-int8", action="store_false", dest="int8", help="float32 rows only")
    parser.add_argument("--tokens", type=int, default=40, help="of a text")
    parser.add_argument("--texts", type=int, default=3_200, help="different texts, each labelled once in a round")
    parser.add_argument("--rounds", type=int, default=5, help="over all texts")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)), help="to bind the process to")
    parser.add_argument("--quick", action="store_true", help="one round, few texts: shows that it works, no more")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.texts, options.rounds = 320, 1
    if not options.data.is_dir():
        parser.error(f"{options.data} is no folder; name one with train and test files by --data")
    files = find_files([options.data])
    corpus = read_corpus(files.train)
    if options.quick:
        corpus = corpus.select(range(min(3_000, len(corpus))), corpus.source)
    workshop = Workshop(corpus)
    path = workshop.prepared(configure("balanced", options.settings)).path

    def ours(text: str) -> list[str]:
        found = path.tokenize([text])[0]
        return found if isinstance(found, list) else []

    made = texts_of(options.tokens, read_corpus(files.test).texts, (ours, tokenize))
    texts = list(itertools.islice(made, options.texts))
    batches = [texts[first : first + BATCH] for first in range(0, len(texts), BATCH)]
    rows = list(create_rows(options, workshop, corpus.texts))
    os.sched_setaffinity(0, {options.core})  # what was made before may use all cores
    found = compare(rows, batches, options.rounds)
    if options.json:
        about = {"data": options.data.name, "texts": len(texts), "tokens": options.tokens, "rounds": options.rounds}
        print(json.dumps({**about, "batch": BATCH, "budget": BUDGET, "moonshot": MOONSHOT, "rows": found}))
        return
    print(
        f"{len(texts):,} texts of {options.tokens} tokens ({options.data.name}), batches of {BATCH}, "
        f"{options.rounds} rounds, one core, processor time\n",
        flush=True,
    )
    print_table(found)


if __name__ == "__main__":
    main()

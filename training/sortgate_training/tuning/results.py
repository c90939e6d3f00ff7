"""What a search leaves: the trials as a table, those worth a choice, and the configuration to train with."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import msgspec

from sortgate_training.checks.findings import Suggestion
from sortgate_training.config import TrainingConfig
from sortgate_training.loading import known_keys, load_config
from sortgate_training.template import render_config
from sortgate_training.tuning.conclusion import Conclusion
from sortgate_training.tuning.record import METRICS, Metric, Record
from sortgate_training.tuning.space import Dimension, value_of, with_values

#: Costs that differ by less are the same: milliseconds vary by so much from one measurement to the next.
_ALIKE = 1.05


def frontier(records: Sequence[Record], metric: Metric) -> list[Record]:
    """Return the trained trials that no other one beats in figure, milliseconds and bytes at once, the best first."""
    trained = [record for record in records if record.runs and record.cost is not None]
    found = [one for one in trained if not any(_beats(other, one, metric) for other in trained)]
    return sorted(found, key=lambda record: -record.rank(metric))


def _beats(other: Record, one: Record, metric: Metric) -> bool:
    if other.cost is None or one.cost is None or other.rank(metric) < one.rank(metric):
        return False
    if other.cost.ms > one.cost.ms * _ALIKE or other.cost.bytes > one.cost.bytes * _ALIKE:
        return False
    cheaper = other.cost.ms * _ALIKE < one.cost.ms or other.cost.bytes * _ALIKE < one.cost.bytes
    return cheaper or other.rank(metric) > one.rank(metric)


COLUMNS = ("trial", "figure", "seeds", "ms", "MB", "what differs")


def rows(records: Sequence[Record], metric: Metric) -> list[tuple[Any, ...]]:
    """Return a line for each trial, under :data:`COLUMNS`."""
    return [
        (
            record.number,
            f"{record.figure(metric):.4f}",
            len(record.runs),
            "" if record.cost is None else f"{record.cost.ms:.3f}",
            "" if record.cost is None else f"{record.cost.bytes / 1e6:.2f}",
            record.changes() + ("" if record.within else " (over the budget)"),
        )
        for record in records
        if record.runs
    ]


def render_best(config: TrainingConfig, found: Conclusion, metric: Metric, command: str) -> str:
    """Return the chosen configuration as commented TOML.

    Args:
        config: the start.
        found: what is written.
        metric: what the search was for.
        command: how to train with it.
    """
    record = found.chosen
    best = with_values(config, record.values)
    defaults = load_config(overrides={"preset": best.preset}).to_dict()
    tables = best.to_dict()
    suggestions = []
    for key in known_keys():
        if key != "preset" and _at(tables, key) != _at(defaults, key):
            reason = "as the search was started"
            if key in record.values:
                reason = f"found by the search, which was started with {value_of(config, key)}"
            suggestions.append(Suggestion(key, _at(tables, key), reason))
    head = [
        f"Written by `sortgate tune`: trial {record.number}, validation {METRICS[metric]} {record.figure(metric):.4f}.",
        *(f"{sentence[:1].upper()}{sentence[1:]}." for sentence in found.sentences),
        command,
    ]
    return render_config(suggestions, best.preset, head)


def render_table(config: TrainingConfig, space: Sequence[Dimension], records: Sequence[Record]) -> str:
    """Return every trial as CSV, with the value of each key that the search changes."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names: tuple[Metric, ...] = ("loss", "accuracy", "macro_f1")
    keys = [dimension.key for dimension in space]
    writer.writerow(["trial", "status", "note", "seeds", *names, "ms", "bytes", "epochs", "seconds", *keys])
    for record in records:
        cost = record.cost
        writer.writerow(
            [
                record.number, record.status, record.note, len(record.runs), *(record.figure(name) for name in names),
                "" if cost is None else round(cost.ms, 4), "" if cost is None else cost.bytes,
                sum(run.epochs for run in record.runs), round(record.seconds, 1),
                *(record.values.get(key, value_of(config, key)) for key in keys),
            ]
        )  # fmt: skip
    return out.getvalue()


def as_dict(records: Sequence[Record], metric: Metric, found: Conclusion) -> dict[str, Any]:
    """Return plain values for JSON."""
    return {
        "metric": metric,
        "start": _plain(records[0], metric),
        "chosen": _plain(found.chosen, metric),
        "improved": found.improved,
        "compared": None if found.rival is None else found.rival.number,
        "difference": found.gain,
        "interval": None if found.interval is None else [*found.interval],
        "seeds": found.seeds,
        "verdict": found.sentences,
        "frontier": [record.number for record in frontier(records, metric)],
        "trials": [_plain(record, metric) for record in records],
    }


def _plain(record: Record, metric: Metric) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(record)
    plain.pop("numbers")
    plain["figure"] = record.figure(metric)
    plain["runs"] = [
        {**run, "judgement": made.judgement._asdict()} for run, made in zip(plain["runs"], record.runs, strict=True)
    ]
    return plain


def _at(tables: Any, key: str) -> Any:
    for part in key.split("."):
        tables = tables[part]
    return tables

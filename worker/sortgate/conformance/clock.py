"""Microseconds a text in a component, called one by one and in batches."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from sortgate.errors import FOREIGN

#: Runs over all items, of which the median counts; fewer when they take longer than this together.
_RUNS, _ENOUGH_S = 7, 1.0
#: Items of a batch, as a worker takes them.
_BATCH = 64


class Timing(msgspec.Struct, frozen=True):
    """Microseconds a text; ``batch_us`` is None of a component without a batch form."""

    single_us: float
    batch_us: float | None

    @property
    def served_us(self) -> float:
        """In the form that a worker calls."""
        return self.single_us if self.batch_us is None else self.batch_us


def measure(component: Any, rows: Sequence[tuple[Any, ...]]) -> Timing:
    """Measure the component on the arguments of calls; those that it fails on cost time too."""
    batches = [
        [list(column) for column in zip(*rows[at : at + _BATCH], strict=True)] for at in range(0, len(rows), _BATCH)
    ]

    def singly() -> None:
        for row in rows:
            try:  # which costs nothing, unlike suppress()
                component(*row)
            except FOREIGN:
                continue

    def in_batches() -> None:
        for columns in batches:
            with suppress(Exception):
                component.batch(*columns)

    return Timing(
        _median_us(singly, len(rows)), _median_us(in_batches, len(rows)) if hasattr(component, "batch") else None
    )


def _median_us(run: Callable[[], None], items: int) -> float:
    """Return the median microseconds an item of some runs, after one that only warms up."""
    run()
    taken: list[float] = []
    while len(taken) < _RUNS and (sum(taken) < _ENOUGH_S or not taken):
        started = time.perf_counter()
        run()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken) / items * 1e6

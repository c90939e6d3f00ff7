"""What a worker counts of one queue: totals and distributions, a few additions a batch and nothing a text."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple, Self, get_args

from sortgate.types import Status

#: Upper bounds of the buckets, each one included; a last bucket takes what is above.
WAIT_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
DURATION_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
TOKENS = (16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144)

STATUSES: tuple[Status, ...] = get_args(Status)


class BatchFigures(NamedTuple):
    """What a pool process tells of a batch beside its answers; travels as a plain tuple.

    Attributes:
        tokens: token ids that the model was given, padding left out.
        padding: ids that only filled up shorter texts of a sub-batch.
        model_s: seconds in the model.
        batch_s: seconds from the batch's arrival to its last answer, the text path and the model included.
        waits: texts by the seconds from being enqueued to being handed over, a count for each bucket of ``WAIT_S``.
        wait_s: sum of those seconds.
        shared: texts that did not go through the model, since one with the same ids had.
        components: name and plugin of each component, seconds spent in it, and texts that failed in it.
        failed: id, status, code and message of each text whose status is not ``ok``.
    """

    tokens: int
    padding: int
    model_s: float
    batch_s: float
    waits: list[int]
    wait_s: float
    shared: int = 0
    components: Sequence[tuple[str, str, float, int]] = ()
    failed: Sequence[tuple[str, str, str, str]] = ()


def count_waits(waits_ms: Sequence[float]) -> list[int]:
    """Return how many of these waits, in milliseconds, fall into each bucket of ``WAIT_S``."""
    counts = [0] * (len(WAIT_S) + 1)
    for wait in waits_ms:
        counts[bisect_left(WAIT_S, wait / 1000.0)] += 1
    return counts


class Distribution:
    """Counts by bucket and the sum of what was observed: a Prometheus histogram without its locks.

    Only the event loop's thread writes it.

    Attributes:
        bounds: upper bounds of the buckets, ascending.
        counts: observations in each bucket, not cumulated; the last one is above every bound.
        total: sum of the observations.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float], counts: Sequence[int] | None = None, total: float = 0.0) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1) if counts is None else list(counts)
        self.total = total

    def observe(self, value: float) -> None:
        """Count one observation."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def add(self, counts: Sequence[int], total: float) -> None:
        """Count observations that were put into buckets elsewhere."""
        self.counts = [one + more for one, more in zip(self.counts, counts, strict=True)]
        self.total += total

    def copy(self) -> Self:
        """Return a copy that stays as it is."""
        return type(self)(self.bounds, self.counts, self.total)


class QueueFigures:
    """What this worker has done for one queue since it started.

    Every text that it took in hand leaves it in one way, so at any moment between two events of the loop
    ``accepted = answered by status + duplicates + stale + resent + released + in hand``.

    Attributes:
        counts: by name, see the table in :mod:`sortgate.worker.metrics`.
        components: seconds spent in each component, and texts that failed in it, by its name and plugin.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.components: dict[tuple[str, str], tuple[float, int]] = {}
        self.queue_wait_s = Distribution(WAIT_S)
        self.batch_texts = Distribution(TEXTS)
        self.batch_tokens = Distribution(TOKENS)
        self.batch_s = Distribution(DURATION_S)
        self.model_s = Distribution(DURATION_S)
        self.commit_s = Distribution(DURATION_S)

    def answered(self, texts: int, batch: BatchFigures) -> None:
        """Count a batch that a pool process has answered."""
        self.batch_texts.observe(texts)
        self.batch_tokens.observe(batch.tokens)
        self.batch_s.observe(batch.batch_s)
        self.model_s.observe(batch.model_s)
        self.queue_wait_s.add(batch.waits, batch.wait_s)
        self.counts["padding"] += batch.padding
        self.counts["shared"] += batch.shared
        for name, plugin, seconds, failures in batch.components:
            before = self.components.get((name, plugin), (0.0, 0))
            self.components[name, plugin] = (before[0] + seconds, before[1] + failures)

    def committed(self, reply: Sequence[int], seconds: float, *, resent: bool) -> None:
        """Count a commit that Redis has confirmed.

        Args:
            reply: of commit.lua.
            seconds: from the first attempt to the confirmation.
            resent: it was sent more than once, so what was answered already may well have been so by the first attempt.
        """
        _, already, duplicates, undelivered, _, *by_status = reply
        counts = self.counts
        for status, texts in zip(STATUSES, by_status, strict=True):
            counts[status] += texts
        counts["resent" if resent else "stale"] += already
        counts["duplicates"] += duplicates
        counts["undelivered"] += undelivered
        self.commit_s.observe(seconds)

    def copy(self) -> Self:
        """Return a copy that stays as it is."""
        twin = type(self)()
        twin.counts = self.counts.copy()
        twin.components = self.components.copy()
        for name, value in vars(self).items():
            if isinstance(value, Distribution):
                setattr(twin, name, value.copy())
        return twin

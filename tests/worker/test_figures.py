"""What a worker counts: buckets, batches and commits."""

from __future__ import annotations

import pytest

from sortgate.worker.figures import TEXTS, WAIT_S, BatchFigures, Distribution, QueueFigures, count_waits


def test_a_bound_belongs_to_its_bucket_and_what_is_above_all_to_the_last() -> None:
    sizes = Distribution(TEXTS)
    for size in (1, 2, 3, 4, 1024, 1025, 10**9):
        sizes.observe(size)
    assert [(bound, n) for bound, n in zip((*TEXTS, None), sizes.counts, strict=True) if n] == [
        (1, 1), (2, 1), (4, 2), (1024, 1), (None, 2),
    ]  # fmt: skip
    assert sizes.total == 1 + 2 + 3 + 4 + 1024 + 1025 + 10**9


def test_waits_counted_elsewhere_are_those_that_were_observed() -> None:
    waits_ms = [0.0, 1.0, 1.1, 250.0, 3e9]
    one, other = Distribution(WAIT_S), Distribution(WAIT_S)
    for wait in waits_ms:
        one.observe(wait / 1000)
    other.add(count_waits(waits_ms), sum(waits_ms) / 1000)
    assert other.counts == one.counts
    assert other.total == pytest.approx(one.total)


def test_a_copy_stays_as_it_is() -> None:
    figures = QueueFigures()
    batch = BatchFigures(10, 3, 0.01, 0.02, count_waits([5.0, 5.0]), 0.01)
    figures.answered(2, batch)
    kept = figures.copy()
    figures.answered(2, batch)
    figures.committed([2, 0, 0, 0, 7, 2, 0, 0, 0, 0], 0.001, resent=False)
    assert (kept.counts["padding"], kept.counts["ok"], sum(kept.queue_wait_s.counts)) == (3, 0, 2)
    assert (figures.counts["padding"], figures.counts["ok"], sum(figures.queue_wait_s.counts)) == (6, 2, 4)
    assert (kept.commit_s.total, figures.commit_s.total) == (0.0, 0.001)


def test_what_a_broken_link_made_us_send_twice_is_nobody_elses_answer() -> None:
    figures = QueueFigures()
    figures.committed([0, 3, 0, 0, 7, 0, 0, 0, 0, 0], 0.1, resent=True)
    figures.committed([1, 2, 1, 1, 7, 0, 1, 0, 0, 0], 0.1, resent=False)
    assert dict(+figures.counts) == {"resent": 3, "stale": 2, "duplicates": 1, "undelivered": 1, "error": 1}

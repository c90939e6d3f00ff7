"""Sub-batches: every text once, sorted by length, within both bounds."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sortgate.inference.batching import length_sorted


@given(st.lists(st.integers(1, 500), max_size=200), st.integers(1, 40), st.integers(1, 5_000))
def test_bounds_and_order(lengths: list[int], max_rows: int, max_ids: int) -> None:
    batches = length_sorted(lengths, max_rows, max_ids)
    flat = [index for batch in batches for index in batch]
    assert sorted(flat) == list(range(len(lengths)))
    assert [lengths[index] for index in flat] == sorted(lengths)
    for batch in batches:
        assert 1 <= len(batch) <= max_rows
        assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= max_ids


def cost(batches: list[list[int]], lengths: list[int]) -> float:
    """What the cuts are chosen by: a call, and a step of every row up to the longest text."""
    return sum(20.0 + max(lengths[index] for index in batch) * (1.0 + len(batch)) for batch in batches)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=8), st.integers(1, 8))
def test_no_other_cut_of_the_sorted_texts_is_cheaper(lengths: list[int], max_rows: int) -> None:
    order = sorted(range(len(lengths)), key=lambda index: (lengths[index], index))
    least = float("inf")
    for cuts in product((False, True), repeat=len(lengths) - 1):
        batches = [[order[0]]]
        for index, cut in zip(order[1:], cuts, strict=True):
            if cut:
                batches.append([])
            batches[-1].append(index)
        if max(map(len, batches)) <= max_rows:
            least = min(least, cost(batches, lengths))
    found = length_sorted(lengths, max_rows)
    assert [index for batch in found for index in batch] == order
    assert cost(found, lengths) == pytest.approx(least)


def test_texts_of_one_length_share_full_batches_and_a_long_one_stays_alone() -> None:
    assert [len(batch) for batch in length_sorted([20] * 32 + [500], max_rows=16)] == [16, 16, 1]

"""Sub-batches: every text once, sorted by length, within both bounds."""

from __future__ import annotations

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


@given(st.lists(st.integers(1, 50), min_size=1, max_size=100))
def test_equal_lengths_keep_their_order_and_no_batch_is_split_early(lengths: list[int]) -> None:
    batches = length_sorted(lengths, 8, 10_000)
    assert [len(batch) for batch in batches[:-1]] == [8] * (len(batches) - 1)
    flat = [index for batch in batches for index in batch]
    assert flat == sorted(range(len(lengths)), key=lambda index: (lengths[index], index))

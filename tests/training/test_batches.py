"""Batches: every text once an epoch, within both bounds, padded no further than needed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sortgate_training.batches import EncodedTexts, TrainingBatches, cut, reading_order, training_order

LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=300)


def test_a_batch_is_padded_to_its_longest_text() -> None:
    texts = EncodedTexts([[5, 6, 7], [8], [9, 9]], [0, 1, 2])
    batch = texts.batch([1, 2])
    assert batch.ids.tolist() == [[8, 0], [9, 9]]
    assert batch.lengths.tolist() == [1, 2]
    assert batch.targets.tolist() == [1, 2]
    assert (len(batch), len(texts)) == (2, 3)


@given(lengths=LENGTHS, size=st.integers(1, 20), tokens=st.integers(1, 400))
def test_orders_hold_every_text_once_within_bounds(lengths: list[int], size: int, tokens: int) -> None:
    array = np.array(lengths)
    generator = np.random.default_rng(0)
    for batches in (
        training_order(array, generator, batch_size=size, batch_tokens=tokens),
        reading_order(array, batch_size=size, batch_tokens=tokens),
    ):
        assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
        for rows in batches:
            assert 1 <= len(rows) <= size
            assert len(rows) == 1 or len(rows) * array[rows].max() <= tokens


def test_batches_are_as_full_as_allowed() -> None:
    lengths = np.array([1, 1, 2, 4, 4])
    batches = cut(np.arange(5), lengths, batch_size=3, batch_tokens=8)
    assert [batch.tolist() for batch in batches] == [[0, 1, 2], [3, 4]]


def test_training_texts_of_like_length_go_together() -> None:
    lengths = np.random.default_rng(1).integers(1, 200, 5000)
    batches = training_order(lengths, np.random.default_rng(0), batch_size=50, batch_tokens=100_000)
    padded = sum(len(rows) * lengths[rows].max() for rows in batches)
    assert padded < 1.1 * lengths.sum()


def test_epochs_differ_and_the_seed_decides_them() -> None:
    texts = EncodedTexts([[number] for number in range(2, 60)], [0] * 58)

    def epochs(seed: int) -> list[list[int]]:
        batches = TrainingBatches(texts, batch_size=8, batch_tokens=100, seed=seed)
        assert len(batches) == 8
        return [[int(token) for batch in batches for token in batch.ids[:, 0]] for _ in range(2)]

    first, second = epochs(1)
    assert sorted(first) == sorted(second) == list(range(2, 60))
    assert first != second
    assert epochs(1) == [first, second]
    assert epochs(2) != [first, second]


def test_no_text_is_no_row() -> None:
    assert len(EncodedTexts([], [])) == 0
    with pytest.raises(ValueError, match="zero-size"):
        EncodedTexts([], []).batch([])

"""Texts with the same ids go through the model once, and get what they would have got by themselves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sortgate.encoded import Encoded
from sortgate.inference import Classifier
from sortgate.inference.session import FloatArray
from sortgate.inference.sharing import Sharing

#: Batches of texts of few different ids, so that many are the same.
BATCHES = st.lists(st.lists(st.lists(st.integers(2, 4), min_size=1, max_size=2), min_size=1, max_size=8), max_size=8)


class Counted:
    """Logits that tell the ids, and which texts they were asked for."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def __call__(self, encoded: Sequence[Encoded]) -> FloatArray:
        self.asked += [item.packed for item in encoded]
        return np.array([[sum(item.ids), len(item)] for item in encoded], dtype=np.float32)


@given(BATCHES, st.integers(0, 6))
def test_every_text_gets_its_logits_and_none_is_computed_twice_without_need(
    batches: list[list[list[int]]], keep: int
) -> None:
    sharing, compute = Sharing(keep), Counted()
    remembered: list[bytes] = []  # a model of the cache: the one asked for longest ago stands first
    for batch in batches:
        encoded = [Encoded.of(ids) for ids in batch]
        before = len(compute.asked)
        found, shared = sharing.logits(encoded, compute)
        np.testing.assert_array_equal(found, Counted()(encoded))
        expected = list(dict.fromkeys(item.packed for item in encoded if item.packed not in remembered))
        assert compute.asked[before:] == expected
        for item in encoded:
            if item.packed in remembered:
                remembered.remove(item.packed)
                remembered.append(item.packed)
        remembered = [*remembered, *expected][-keep:] if keep else []
        assert shared == len(encoded) - len(expected)


def test_what_is_kept_does_not_hold_its_batch() -> None:
    sharing = Sharing(1)
    sharing.logits([Encoded.of([2]), Encoded.of([3])], Counted())
    [row] = sharing._kept.values()
    assert row.base is None


def test_cut_texts_with_the_same_ids_say_each_how_much_was_cut(toy_classifier: Classifier) -> None:
    most = toy_classifier.text_path.limits.max_tokens
    texts = ["hello " * most, "hello " * (most + 3), "hello " * most]
    plain = toy_classifier(texts)
    toy_classifier.sharing = Sharing(10)
    try:
        tokens = toy_classifier.spent.tokens
        shared = toy_classifier(texts)
        assert toy_classifier.spent.tokens == tokens + most, "one of the three"
        assert toy_classifier.spent.shared == 2
        assert toy_classifier(texts) == shared
        assert toy_classifier.spent.tokens == tokens + most
    finally:
        toy_classifier.sharing = None
    assert [one.truncated for one in shared] == [0, 3, 0] == [one.truncated for one in plain]
    assert [one.label for one in shared] == [one.label for one in plain]

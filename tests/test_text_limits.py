"""What a text path takes and what it keeps of a text that is too long."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sortgate.encoded import ID_BYTES, Encoded, pack_ids
from sortgate.errors import (
    EmptyTextError,
    TextTooLongError,
)
from sortgate.plugins import Registry, create_registry
from sortgate.textpath import TextConfig, TextLimits, TextPath


@pytest.fixture(scope="module")
def registry() -> Registry:
    return create_registry(only=())


def test_limits_must_be_positive() -> None:
    with pytest.raises(msgspec.ValidationError, match="max_tokens must be a whole number from 1 on, not 0"):
        msgspec.convert({"max_tokens": 0}, TextLimits)


def test_limits(registry: Registry) -> None:
    path = TextPath.create(TextConfig(), registry, TextLimits(max_text_bytes=12, max_characters=10, max_tokens=2))
    path.fit(["a b"], min_count=1)
    exact, bytes_over, characters_over, cut = path.encode(["é" * 6, "é" * 7, "ﷺ", "a b a b"])
    assert isinstance(exact, Encoded)
    assert isinstance(bytes_over, TextTooLongError)
    assert "14 bytes, 12 are allowed (max_text_bytes)" in str(bytes_over)
    assert "18 characters after sortgate.nfkc.v1, 10 are allowed (max_characters)" in str(characters_over)
    assert path.vocabulary is not None
    assert cut == Encoded.of(path.vocabulary.encode(["a", "b"]), truncated=2)
    assert path.tokenize(["a b a b"]) == [["a", "b", "a", "b"]]


def test_of_a_longer_text_its_head_or_both_ends_are_read(registry: Registry) -> None:
    texts = ["a b c d e f g h", "a b c d", "a b c d e", ""]
    for choice, expected in (
        ({}, ["abcd", "abcd", "abcd"]),
        ({"truncation": "head_tail"}, ["afgh", "abcd", "acde"]),
        ({"truncation": "head_tail", "head_share": 0.5}, ["abgh", "abcd", "abde"]),
        ({"truncation": "head_tail", "head_share": 0}, ["efgh", "abcd", "bcde"]),
        ({"truncation": "head_tail", "head_share": 1}, ["abcd", "abcd", "abcd"]),
    ):
        path = TextPath.create(TextConfig(), registry, msgspec.convert({"max_tokens": 4, **choice}, TextLimits))
        path.fit(["a b c d e f g h"], min_count=1)
        *good, empty = path.encode(texts)
        assert isinstance(empty, EmptyTextError)
        assert path.vocabulary is not None
        assert [item.ids for item in good] == [path.vocabulary.encode(list(kept)) for kept in expected]
        assert [item.truncated for item in good] == [4, 0, 1]


@given(st.integers(1, 40), st.integers(1, 30), st.floats(0, 1), st.sampled_from(["head", "head_tail"]))
def test_what_is_kept_is_as_long_as_may_be(more: int, limit: int, share: float, truncation: Any) -> None:
    limits = TextLimits(max_tokens=limit, truncation=truncation, head_share=share)
    ids = list(range(limit + more))
    kept = Encoded(limits.cut(pack_ids(ids), ID_BYTES)).ids
    assert len(kept) == limit
    assert kept == ids[: limits.head] + ids[limits.head + more :]


def test_what_is_kept_in_words() -> None:
    assert TextLimits().kept == "first 400 tokens"
    assert TextLimits(truncation="head_tail").kept == "first 100 and last 300 tokens"
    assert TextLimits(max_tokens=1, truncation="head_tail").kept == "last 1 token"

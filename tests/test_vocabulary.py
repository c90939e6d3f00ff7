"""The vocabulary: order, limits, unknown tokens, and its file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sortgate.errors import BundleFormatError
from sortgate.vocabulary import PADDING_ID, UNKNOWN_ID, Vocabulary


def test_build_orders_by_count_then_token_and_leaves_out_rare_ones() -> None:
    vocabulary = Vocabulary.build([["b", "a", "c"], ["b", "a", "rare"], ["c", "c"]])
    assert list(vocabulary) == ["c", "a", "b"]
    assert vocabulary.encode(["c", "a", "b", "rare"]) == [2, 3, 4, UNKNOWN_ID]
    assert len(vocabulary) == 5
    assert "a" in vocabulary
    assert "rare" not in vocabulary


def test_max_size_counts_the_specials() -> None:
    lists = [["a", "b", "c"]] * 2
    assert len(Vocabulary.build(lists, max_size=4)) == 4
    assert len(Vocabulary.build(lists, max_size=0)) == 2
    assert PADDING_ID not in Vocabulary.build(lists, max_size=0).encode(["a"])


def test_the_order_of_texts_does_not_matter() -> None:
    lists = [["b", "a"], ["a", "b"], ["c", "c"]]
    assert Vocabulary.build(lists) == Vocabulary.build(lists[::-1])


@given(st.lists(st.text(alphabet=st.one_of(st.characters(), st.sampled_from("\\nru\r\n\u2028\ud800"))), unique=True))
def test_file_round_trip(tokens: list[str]) -> None:
    vocabulary = Vocabulary(tokens)
    assert list(Vocabulary.from_bytes(vocabulary.to_bytes())) == tokens


def test_file_is_one_readable_token_a_line() -> None:
    assert Vocabulary(["中", "a\nb", "\\", ""]).to_bytes() == "中\na\\nb\n\\\\\n\n".encode()


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"a\nb", "line 2: cut off"),
        (b"a\n\xff\n", "line 2: not UTF-8"),
        (b"a\n\\x\n", "line 2: unknown escape"),
        (b"a\nb\na\n", "tokens 0 and 2"),
        (b"a\\n\nb\na\\n\n", "tokens 0 and 2"),
    ],
)
def test_damaged_file(data: bytes, complaint: str) -> None:
    with pytest.raises(BundleFormatError, match=complaint):
        Vocabulary.from_bytes(data)

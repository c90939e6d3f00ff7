"""Learning a Unigram model: the expectation step against all ways to write a word, and pieces that cover the words."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sortgate.components import unigram_model
from sortgate.components.unigram_model import _expected, _without, learn_pieces

SIGNS = "abcd"
WORDS = st.dictionaries(st.text(SIGNS, min_size=1, max_size=9), st.integers(1, 30), min_size=1, max_size=8)


def ways(word: str, pieces: dict[str, float]) -> Iterator[tuple[str, ...]]:
    """Yield all ways to write the word."""
    if not word:
        yield ()
    for end in range(1, len(word) + 1):
        if word[:end] in pieces:
            for rest in ways(word[end:], pieces):
                yield (word[:end], *rest)


def weight(way: tuple[str, ...], pieces: dict[str, float]) -> float:
    return math.prod(pieces[piece] for piece in way)


@given(WORDS, st.dictionaries(st.text(SIGNS, min_size=2, max_size=4), st.floats(0.01, 0.5), max_size=6))
def test_expected_counts_are_those_of_all_ways_together(words: dict[str, int], longer: dict[str, float]) -> None:
    pieces = {**dict.fromkeys(SIGNS, 0.05), **longer}
    expected = dict.fromkeys(pieces, 0.0)
    for word, times in words.items():
        all_ways = list(ways(word, pieces))
        total = math.fsum(weight(way, pieces) for way in all_ways)
        for way in all_ways:
            for piece in way:
                expected[piece] += times * weight(way, pieces) / total
    assert _expected(list(words.items()), pieces, 4) == pytest.approx(expected)
    for piece in longer:
        others = [weight(way, pieces) for way in ways(piece, pieces) if way != (piece,)]
        assert _without(piece, pieces) == pytest.approx(max(others))


@given(WORDS, st.integers(4, 12), st.integers(1, 9))
@settings(deadline=None)
def test_pieces_are_as_many_and_as_long_as_allowed_and_have_every_sign(
    words: dict[str, int], size: int, longest: int
) -> None:
    pieces = learn_pieces(words, SIGNS, size, longest)
    assert len(pieces) <= size
    assert {piece for piece, _ in pieces} >= set(SIGNS)
    assert max(len(piece) for piece, _ in pieces) <= longest
    assert math.fsum(math.exp(score) for _, score in pieces) == pytest.approx(1, abs=1e-4)
    assert [score for _, score in pieces] == sorted((score for _, score in pieces), reverse=True)
    assert learn_pieces(dict(reversed(words.items())), SIGNS, size, longest) == pieces


def test_what_is_frequent_becomes_a_piece() -> None:
    assert {piece for piece, _ in learn_pieces({"dcba": 50, "acdb": 40, "dd": 3}, SIGNS, 6, 4)} == {
        *SIGNS,
        "dcba",
        "acdb",
    }
    assert {piece for piece, _ in learn_pieces({"abab": 50, "abcd": 40, "cdab": 30}, SIGNS, 6, 2)} == {
        *SIGNS,
        "ab",
        "cd",
    }


def test_only_the_most_frequent_words_are_learned_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unigram_model, "MOST_SIGNS", 4)
    assert "cd" not in dict(learn_pieces({"abab": 9, "cdcd": 8}, SIGNS, 9, 4))
    # and of a long one, in parts
    assert learn_pieces({"ab" * 500: 2}, SIGNS, 9, 4) == learn_pieces({}, SIGNS, 9, 4)

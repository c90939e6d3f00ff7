"""The spelling filter: one edit, by definition; and what is left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sortgate.components import spelling
from sortgate.components.spelling import Spelling

WORDS = st.text("abé", min_size=2, max_size=5)


def fitted(counts: dict[str, int], min_length: int = 2, max_words: int = 99) -> Spelling:
    made = Spelling(min_count=10, ratio=5, min_length=min_length, max_words=max_words)
    made.fit([[word] * times for word, times in counts.items()])
    return made


def edits(word: str) -> set[str]:
    """All that is one edit away and starts with the same letter, as Norvig's spelling corrector makes them."""
    splits = [(word[:at], word[at:]) for at in range(1, len(word) + 1)]
    return {
        *(a + b[1:] for a, b in splits if b),
        *(a + b[1] + b[0] + b[2:] for a, b in splits if len(b) > 1),
        *(a + letter + b[1:] for a, b in splits if b for letter in "abé"),
        *(a + letter + b for a, b in splits for letter in "abé"),
    }


@given(st.dictionaries(WORDS, st.integers(1, 60), max_size=12), st.lists(WORDS, max_size=12))
def test_finds_the_most_frequent_word_one_edit_away(counts: dict[str, int], others: list[str]) -> None:
    spellings = fitted(counts)
    for word in {*counts, *others}:
        times = counts.get(word, 1)
        near = {other for other in edits(word) - {word} if counts.get(other, 0) >= 10}
        best = min(near, key=lambda other: (-counts[other], other), default=word)
        mapped = times < 10 and best != word and counts[best] >= 5 * times
        assert spellings([word]) == [best if mapped else word]


def test_words_of_other_letters_lengths_and_signs_stay() -> None:
    spellings = fitted({"printer": 50, "it's": 50, "10000": 50, "x" * 40: 50}, min_length=5)
    assert spellings(["prniter", "prinert", "Printer", "prin", "10001", "it'z", "drinter", "x" * 41]) == [
        "printer", "prinert", "Printer", "prin", "10001", "it'z", "drinter", "x" * 41,
    ]  # fmt: skip


def test_a_word_that_is_frequent_or_beyond_max_words_is_no_slip() -> None:
    spellings = fitted({"printer": 500, "printed": 10, "printen": 9, "other": 400}, min_length=5, max_words=2)
    assert spellings(["printed", "printen", "othes"]) == ["printed", "printer", "other"]


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spelling, "MOST_REMEMBERED", 3)
    spellings = fitted({"printer": 50})
    for word in ("prniter", "a", "b", "prinetr", "prniter", "x" * 99):
        assert spellings([word]) == ["printer" if word.startswith("pr") else word]
        assert len(spellings._spellings or ()) <= 3

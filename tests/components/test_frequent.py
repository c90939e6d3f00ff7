"""The learned stop words: what most texts hold, but no sign, negation or word to keep."""

from __future__ import annotations

from sortgate.components.frequent import LearnedStopWords

TEXTS = [["the", "the", "printer", "!"], ["the", "printer", "not", "!"], ["the", "not", "!"], ["a", "not", "!"]]


def fitted(max_share: float = 0.5, max_words: int = 100, keep: tuple[str, ...] | None = None) -> LearnedStopWords:
    words = LearnedStopWords(max_share, max_words) if keep is None else LearnedStopWords(max_share, max_words, keep)
    words.fit(TEXTS)
    return words


def test_drops_what_more_than_the_share_of_texts_hold_however_often() -> None:
    assert fitted()(["the", "printer", "not", "!"]) == ["printer", "not", "!"]
    assert fitted(0.75)(["the", "printer"]) == ["the", "printer"]
    assert fitted(0.4)(["the", "printer", "jams"]) == ["jams"]


def test_what_is_dropped_can_be_bounded() -> None:
    assert fitted(0.1, max_words=1)(["the", "printer", "a"]) == ["printer", "a"]
    assert fitted(keep=("the",))(["the", "not", "!"]) == ["the", "!"]


def test_a_text_of_nothing_else_stays() -> None:
    assert fitted()(["the", "the"]) == ["the", "the"]
    assert fitted()([]) == []

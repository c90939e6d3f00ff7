"""The phrase filter: the score of word2phrase, and joining from left to right."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from sortgate.components.phrases import Phrases

NEW_YORK = ["we", "fly", "to", "new", "york", "."]


def fitted(texts: list[list[str]], min_count: int = 1, threshold: float = 1.0, max_phrases: int = 100) -> Phrases:
    phrases = Phrases(min_count, threshold, max_phrases)
    phrases.fit(texts)
    return phrases


@given(st.lists(st.lists(st.sampled_from("abcd.")), max_size=12), st.integers(1, 3), st.sampled_from([0.01, 0.5, 1, 2]))
def test_the_pairs_are_those_of_the_formula(texts: list[list[str]], delta: int, threshold: float) -> None:
    ones = Counter(token for tokens in texts for token in tokens)
    twos = Counter(pair for tokens in texts for pair in pairwise(tokens))
    expected = {
        pair
        for pair, times in twos.items()
        if times > delta
        and "." not in pair
        and (times - delta) / (ones[pair[0]] * ones[pair[1]]) * sum(ones.values()) > threshold
    }
    phrases = fitted(texts, delta, threshold)
    for pair in pairwise("abcd.abcd.dcba.aabbccdd"):
        assert phrases(list(pair)) == (["_".join(pair)] if pair in expected else list(pair))


@given(
    st.lists(st.sampled_from("abcd"), max_size=30), st.sets(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd")))
)
def test_joins_as_a_plain_loop_does(tokens: list[str], pairs: set[tuple[str, str]]) -> None:
    phrases = Phrases()
    phrases.restore(msgspec.json.encode({"version": 1, "phrases": sorted(pairs)}))
    expected, at = [], 0
    while at < len(tokens):
        pair = tuple(tokens[at : at + 2])
        expected.append("_".join(pair) if pair in pairs else tokens[at])
        at += 2 if pair in pairs else 1
    assert phrases(tokens) == expected


def test_joins_from_left_to_right_and_each_word_once() -> None:
    phrases = fitted([["a", "b", "a", "b", "a"]] * 3, threshold=0.1)
    assert phrases(["a", "b", "a", "b", "a"]) == ["a_b", "a_b", "a"]
    assert phrases(["b", "b", "a", "a"]) == ["b", "b_a", "a"]
    assert phrases([]) == []


def test_signs_and_masks_are_not_joined() -> None:
    assert fitted([["<url>", "!", "!", "#", "1"]] * 9, threshold=0.01)(["<url>", "!", "!"]) == ["<url>", "!", "!"]


def test_the_best_are_kept() -> None:
    texts = [NEW_YORK] * 9 + [["to", "new"], ["to", "to"]] * 9
    assert fitted(texts, threshold=0.1, max_phrases=1)(["to", "new", "york"]) == ["to", "new", "york"]
    assert fitted(texts, threshold=0.1, max_phrases=1)(["we", "fly", "to"]) == ["we_fly", "to"]


def test_named_twice_it_makes_longer_phrases() -> None:
    texts = [["new", "york", "city", "hall", str(number)] for number in range(9)]
    first = fitted(texts)
    second = fitted(first.batch(texts))
    assert second(first(["new", "york", "city", "hall"])) == ["new_york_city_hall"]

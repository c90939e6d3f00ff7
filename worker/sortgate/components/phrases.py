"""Token filter that joins the phrases found in the training texts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import msgspec

from sortgate.components.learned import count, is_word, is_writable, nothing_learned, read_state
from sortgate.components.parameters import positive_number, whole_number

JOINT = "_"


class PhrasesState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The two tokens of each phrase, in the order of their code points."""

    version: Literal[1]
    phrases: list[tuple[str, str]]


class Phrases:
    """Joins two words that stand together far more often than chance has it: ``new york`` becomes ``new_york``.

    A pair's score is that of Mikolov et al. 2013 (arXiv 1310.4546, equation 6) times the count of all tokens, as in
    word2phrase, with ``delta`` = ``min_count``: ``(count(ab) - delta) / (count(a) * count(b)) * tokens``. From left to
    right the first pair is joined, and its words go into no other. The filter named twice makes phrases of up to four.

    Args:
        min_count: times that a pair, and so each of its words, must at least occur; it takes these off a pair's count.
        threshold: scores above it make a phrase; the more it is, the fewer.
        max_phrases: the pairs with the best scores are kept.
    """

    def __init__(self, min_count: int = 5, threshold: float = 100.0, max_phrases: int = 10_000) -> None:
        self._min_count = whole_number("min_count", min_count, 1)
        self._threshold = positive_number("threshold", threshold)
        self._max_phrases = whole_number("max_phrases", max_phrases, 1)
        self._phrases: dict[tuple[str, str], str] | None = None

    def fit(self, token_lists: Sequence[list[str]]) -> None:
        """Learn the phrases, in two passes: only pairs of words that are frequent enough are counted."""
        least = self._min_count
        total = sum(map(len, token_lists))
        words = {token: times for token, times in count(token_lists).items() if times >= least and is_word(token)}
        pairs = count(
            [pair for pair in pairwise(tokens) if pair[0] in words and pair[1] in words] for tokens in token_lists
        )
        scored = [
            (-(times - least) / (words[pair[0]] * words[pair[1]]) * total, pair)
            for pair, times in pairs.items()
            if times > least and is_writable(pair[0] + pair[1])
        ]
        scored.sort()
        self._keep([pair for score, pair in scored if -score > self._threshold][: self._max_phrases])

    def state(self) -> bytes:
        """Return the phrases, as JSON."""
        return msgspec.json.encode(PhrasesState(1, list(self._learned())))

    def restore(self, state: bytes) -> None:
        """Read the phrases back.

        Raises:
            ValueError: not a state of this component with these parameters.
        """
        phrases = read_state(state, PhrasesState).phrases
        if len(phrases) > self._max_phrases or not all(map(all, phrases)) or phrases != sorted(set(phrases)):
            raise ValueError("the learned state is malformed: phrases out of order, empty or more than max_phrases")
        self._keep(phrases)

    def __call__(self, tokens: list[str]) -> list[str]:
        phrases = self._learned()
        if phrases.keys().isdisjoint(pairwise(tokens)):
            return tokens
        joined, taken = [], False
        for token, phrase in zip(tokens, [*map(phrases.get, pairwise(tokens)), None], strict=True):
            if taken:
                taken = False
            elif phrase is None:
                joined.append(token)
            else:
                joined.append(phrase)
                taken = True
        return joined

    def batch(self, token_lists: Sequence[list[str]]) -> list[list[str]]:
        return [self(tokens) for tokens in token_lists]

    def _keep(self, phrases: list[tuple[str, str]]) -> None:
        self._phrases = {pair: JOINT.join(pair) for pair in sorted(phrases)}

    def _learned(self) -> dict[tuple[str, str], str]:
        if self._phrases is None:
            raise nothing_learned("the phrase filter")
        return self._phrases

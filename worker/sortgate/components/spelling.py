"""Token filter that reads rare words as the frequent word they are one slip away from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal

import msgspec

from sortgate.components.learned import count, most_frequent, nothing_learned, read_state
from sortgate.components.parameters import whole_number

# Longer tokens are no words of a language; at most so many answers are remembered before all are forgotten.
LONGEST, MOST_REMEMBERED = 40, 65_536


class SpellingState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Frequent words with their counts, the most frequent first; and words seen too often to be slips."""

    version: Literal[1]
    words: dict[str, Annotated[int, msgspec.Meta(ge=1)]]
    kept: list[str]


class Spelling:
    """Maps a rare or unknown word to the most frequent word that is one edit away, if that is far more frequent.

    An edit inserts, drops or replaces one letter, or swaps two neighbours (Damerau 1964), and leaves the first letter.
    Only words of letters alone are touched. Words that occur ``min_count`` times have examples of their own to learn
    from and stay; so does a rare word's rare neighbour. Candidates come from an index of the frequent words with one
    letter left out (Garbe's SymSpell), some 13 MB for 20,000 of them.

    Args:
        min_count: occurrences in the training texts of a word that others may be mapped to.
        ratio: how many times more frequent than the word itself that must be; an unknown word counts as seen once.
        min_length: shorter words stay; 2 at least.
        max_words: the most frequent words are kept.
    """

    def __init__(self, min_count: int = 50, ratio: int = 20, min_length: int = 5, max_words: int = 20_000) -> None:
        self._min_count = whole_number("min_count", min_count, 2)
        self._ratio = whole_number("ratio", ratio, 1)
        if self._ratio > self._min_count:  # so that the index alone decides about unknown words
            raise ValueError("ratio must be at most min_count")
        self._min_length = whole_number("min_length", min_length, 2, LONGEST)
        self._max_words = whole_number("max_words", max_words, 1, 100_000)
        self._spellings: _Spellings | None = None

    def fit(self, token_lists: Sequence[list[str]]) -> None:
        """Learn the frequent words, and which rarer ones must not be taken for them."""
        seen = [entry for entry in count(token_lists).items() if entry[1] > 1 and self._is_touched(entry[0])]
        words = dict(most_frequent((entry for entry in seen if entry[1] >= self._min_count), self._max_words))
        nearest = _Spellings(words, (), self._min_length).nearest
        kept = [
            (token, times)
            for token, times in seen
            if (other := nearest(token)) != token and (times >= self._min_count or words[other] < self._ratio * times)
        ]
        ambiguous = [token for token, _ in most_frequent(kept, self._max_words)]
        self._spellings = _Spellings(words, ambiguous, self._min_length)

    def state(self) -> bytes:
        """Return the words, as JSON."""
        learned = self._learned()
        return msgspec.json.encode(SpellingState(1, dict(learned.words), sorted(learned.kept)))

    def restore(self, state: bytes) -> None:
        """Read the words back and make the index.

        Raises:
            ValueError: not a state of this component with these parameters.
        """
        read = read_state(state, SpellingState)
        if max(len(read.words), len(read.kept)) > self._max_words:
            raise ValueError("the learned state is malformed: more words than max_words")
        if not all(map(self._is_touched, (*read.words, *read.kept))):
            raise ValueError(f"the learned state is malformed: not words of {self._min_length} to {LONGEST} letters")
        self._spellings = _Spellings(read.words, read.kept, self._min_length)

    def __call__(self, tokens: list[str]) -> list[str]:
        return list(map(self._learned().__getitem__, tokens))

    def batch(self, token_lists: Sequence[list[str]]) -> list[list[str]]:
        return [self(tokens) for tokens in token_lists]

    def _is_touched(self, token: str) -> bool:
        return _is_touched(token, self._min_length)

    def _learned(self) -> _Spellings:
        if self._spellings is None:
            raise nothing_learned("the spelling filter")
        return self._spellings


class _Spellings(dict[str, str]):
    """Token to how it is read; found out when first asked, then a dictionary entry. Threads may share it."""

    def __init__(self, words: Mapping[str, int], kept: Sequence[str], min_length: int) -> None:
        super().__init__()
        self.words, self.kept, self._min_length = words, frozenset(kept), min_length
        # A word's own tuple stands under each of its forms, unless another word has that form too.
        self._having: dict[str, tuple[str, ...]] = {}
        for word in words:
            alone = (word,)
            for form in _forms(word):
                others = self._having.get(form)
                self._having[form] = alone if others is None else others + alone

    def __missing__(self, token: str) -> str:
        read = self.nearest(token) if _is_touched(token, self._min_length) and token not in self.kept else token
        if len(token) <= LONGEST:
            if len(self) >= MOST_REMEMBERED:
                self.clear()
            self[token] = read
        return read

    def nearest(self, token: str) -> str:
        """Return the most frequent word one edit away, or the token itself, also when it is such a word."""
        words = self.words
        if token in words:
            return token
        near = {word for form in _forms(token) for word in self._having.get(form, ()) if _is_one_edit(token, word)}
        return min(near, key=lambda word: (-words[word], word), default=token)


def _is_touched(token: str, min_length: int) -> bool:
    return min_length <= len(token) <= LONGEST and token.isalpha()


def _forms(word: str) -> Iterator[str]:
    """The word, and the word without each of its letters but the first; doubles are left out."""
    yield word
    for at in range(1, len(word)):
        if word[at] != word[at - 1] or at == 1:
            yield word[:at] + word[at + 1 :]


def _is_one_edit(one: str, other: str) -> bool:
    """Whether different words with a form in common are one edit apart; two that lack different letters are not."""
    if len(one) != len(other):
        return True
    first, *rest = (at for at, (a, b) in enumerate(zip(one, other, strict=True)) if a != b)
    return not rest or (rest == [first + 1] and one[first] == other[rest[0]] and one[rest[0]] == other[first])

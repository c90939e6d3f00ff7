"""Token filter that drops the words which most training texts hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from sortgate.components.learned import count, is_word, most_frequent, nothing_learned, read_state
from sortgate.components.parameters import list_of_words, positive_number, whole_number

# They turn a text's meaning around, however many texts hold them.
_NEGATIONS = ("no", "not", "nor", "never", "none", "nothing", "without", "cannot")


class StopWordsState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The words, in the order of their code points."""

    version: Literal[1]
    words: list[str]


class LearnedStopWords:
    """Drops words that more than ``max_share`` of the training texts hold, in any language.

    A filter sees no labels. So a word that is telling, and in so many texts because one label has most of them, would
    go too: where a label has more than ``max_share`` of the texts, raise ``max_share``, or name the word in ``keep``.
    Signs stay, and a text of nothing but stop words stays as it is.

    Args:
        max_share: of the texts, above 0 and at most 1; 1 drops nothing.
        max_words: the words in the most texts are dropped, at most this many.
        keep: words never dropped, as they are spelled in tokens.
    """

    def __init__(self, max_share: float = 0.5, max_words: int = 100, keep: Sequence[str] = _NEGATIONS) -> None:
        self._max_share = positive_number("max_share", max_share, 1.0)
        self._max_words = whole_number("max_words", max_words, 1)
        self._keep = frozenset(list_of_words("keep", keep))
        self._stop: frozenset[str] | None = None

    def fit(self, token_lists: Sequence[list[str]]) -> None:
        """Learn the list: in how many texts each word stands, however often in one."""
        least = self._max_share * len(token_lists)
        texts_with = count(map(set, token_lists))
        common = [
            (token, times)
            for token, times in texts_with.items()
            if times > least and is_word(token) and token not in self._keep
        ]
        self._stop = frozenset(token for token, _ in most_frequent(common, self._max_words))

    def state(self) -> bytes:
        """Return the list, as JSON."""
        return msgspec.json.encode(StopWordsState(1, sorted(self._learned())))

    def restore(self, state: bytes) -> None:
        """Read the list back.

        Raises:
            ValueError: not a state of this component with these parameters.
        """
        words = read_state(state, StopWordsState).words
        if len(words) > self._max_words or words != sorted(set(words)):
            raise ValueError("the learned state is malformed: words out of order, or more than max_words")
        self._stop = frozenset(words)

    def __call__(self, tokens: list[str]) -> list[str]:
        stop = self._learned()
        return [token for token in tokens if token not in stop] or tokens

    def batch(self, token_lists: Sequence[list[str]]) -> list[list[str]]:
        return [self(tokens) for tokens in token_lists]

    def _learned(self) -> frozenset[str]:
        if self._stop is None:
            raise nothing_learned("the stop-word filter")
        return self._stop

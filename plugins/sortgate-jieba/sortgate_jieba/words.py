"""The tokenizer: Chinese words are jieba's, everything between them is cut as ``sortgate.words.v1`` does."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Sequence
from typing import Any

from sortgate.plugins import ComponentSpec, create_registry
from sortgate_jieba.dictionary import create_segmenter

# What jieba takes as one piece (its re_han_default): its dictionary has words such as A股 and T恤. A piece without
# Han characters is no matter for it.
_HAN = "\u4e00-\u9fd5"
_PIECES = re.compile(rf"[{_HAN}a-zA-Z0-9+#&._%\-]+")
_HAS_HAN = re.compile(f"[{_HAN}]")
_LETTERS = string.ascii_letters + string.digits

#: Characters that jieba gets at a time: for unknown words it copies the path so far at each character, so that its time
#: grows with the square of the piece. No text that people write has so many without a sign or a space.
LONGEST_PIECE = 500
#: Characters of a word of one's own.
LONGEST_WORD = 32

_MODES = ("accurate", "full", "search")


class Words:
    """Chinese words by jieba's dictionary; other scripts, numbers, signs and emoji as ``sortgate.words.v1``."""

    #: No token holds white space or depends on what is beyond it.
    by_white_space = True

    def __init__(self, mode: str = "accurate", hmm: bool = True, words: Sequence[str] = ()) -> None:
        if mode not in _MODES:
            raise ValueError(f"no mode {mode!r}; there are: {', '.join(_MODES)}")
        if not isinstance(hmm, bool):
            raise ValueError("hmm must be true or false")
        segmenter = create_segmenter(tuple(_own_words(words)))
        self._cut = _cut(segmenter, mode, hmm)
        self._other: Callable[[str], list[str]] = create_registry(only=()).create(
            "tokenizer", ComponentSpec("sortgate.words.v1")
        )

    def __call__(self, text: str) -> list[str]:
        tokens: list[str] = []
        done = 0
        for match in _PIECES.finditer(text):
            if _HAS_HAN.search(match[0]):
                start, end = _without_parts_of_words(text, *match.span())
                if done < start:
                    tokens += self._other(text[done:start])
                for at in range(start, end, LONGEST_PIECE):
                    tokens += self._cut(text[at : min(at + LONGEST_PIECE, end)])
                done = end
        if done < len(text):
            tokens += self._other(text[done:])
        return tokens


def _without_parts_of_words(text: str, start: int, end: int) -> tuple[int, int]:
    """Leave out letters at the ends of a piece that belong to a word around it, as the first three of ``café`` do."""
    if start > 0 and _is_of_word(text[start - 1]):
        start = end - len(text[start:end].lstrip(_LETTERS))
    if end < len(text) and _is_of_word(text[end]):
        end = start + len(text[start:end].rstrip(_LETTERS))
    return start, end


def _is_of_word(character: str) -> bool:
    return character.isalnum() or character in "'\u2019"


def _cut(segmenter: Any, mode: str, hmm: bool) -> Callable[[str], list[str]]:
    if mode == "search":
        return lambda piece: segmenter.lcut_for_search(piece, HMM=hmm)
    if mode == "full":
        return lambda piece: [word for word in segmenter.cut(piece, cut_all=True) if word]
    return lambda piece: segmenter.lcut(piece, HMM=hmm)


def _own_words(words: object) -> list[str]:
    if isinstance(words, str) or not isinstance(words, Sequence) or not all(isinstance(word, str) for word in words):
        raise ValueError("words must be a list of strings")
    for word in words:
        if len(word) > LONGEST_WORD or not _PIECES.fullmatch(word) or not _HAS_HAN.search(word):
            raise ValueError(
                f"words: {word[:LONGEST_WORD]!r} cannot be found: a word has a Chinese character, besides these only "
                f"letters and digits of ASCII and + # & . _ % -, and at most {LONGEST_WORD} characters"
            )
    return list(words)

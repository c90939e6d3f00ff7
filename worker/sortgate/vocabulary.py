"""Tokens to ids: the vocabulary a model was trained with, and its file ``vocabulary.txt``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat

from sortgate.errors import BundleFormatError

PADDING_ID = 0
UNKNOWN_ID = 1
#: Id of the first token; the ids before it are the specials above.
FIRST_ID = 2

_ESCAPED = re.compile(r"\\(\\|n|r|u[0-9a-f]{4})|\\")


class Vocabulary:
    """Maps tokens to ids: 0 is padding, 1 any unknown token, the vocabulary's own tokens follow from 2 on."""

    def __init__(self, tokens: Sequence[str]) -> None:
        """Take the tokens in the order of their ids.

        Raises:
            ValueError: a token occurs twice; says at which positions.
        """
        self._ids = {token: number for number, token in enumerate(tokens, FIRST_ID)}
        if len(self._ids) != len(tokens):
            first: dict[str, int] = {}
            for position, token in enumerate(tokens):
                if first.setdefault(token, position) != position:
                    raise ValueError(f"tokens {first[token]} and {position} of the vocabulary are the same")

    @classmethod
    def build(cls, token_lists: Iterable[Sequence[str]], *, min_count: int = 2, max_size: int = 50_000) -> Vocabulary:
        """Keep the most frequent tokens, ties in the order of their code points.

        Args:
            token_lists: the training texts' tokens.
            min_count: rarer tokens stay unknown, which is what trains the unknown token's embedding.
            max_size: bound of ``len(vocabulary)``, the two specials included.
        """
        counts: Counter[str] = Counter()
        for tokens in token_lists:
            counts.update(tokens)
        return cls.from_counts(counts, min_count=min_count, max_size=max_size)

    @classmethod
    def from_counts(cls, counts: Mapping[str, int], *, min_count: int = 2, max_size: int = 50_000) -> Vocabulary:
        """Return what :meth:`build` would of texts in which the tokens occur so often."""
        kept = [(-count, token) for token, count in counts.items() if count >= min_count]
        kept.sort()
        return cls([token for _, token in kept[: max(0, max_size - FIRST_ID)]])

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """Return the tokens' ids, ``UNKNOWN_ID`` for those the vocabulary lacks."""
        return list(map(self._ids.get, tokens, repeat(UNKNOWN_ID)))

    def __len__(self) -> int:
        """Count of ids, the two specials included: the rows of the model's embedding."""
        return len(self._ids) + FIRST_ID

    def __contains__(self, token: object) -> bool:
        return token in self._ids

    def __iter__(self) -> Iterator[str]:
        """Tokens in the order of their ids, from 2 on."""
        return iter(self._ids)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # compared by value, so not a key

    def to_bytes(self) -> bytes:
        r"""Return the file: one token a line in UTF-8; backslashes, ``\n``, ``\r`` and lone surrogates are escaped."""
        return "".join(f"{_escape(token)}\n" for token in self._ids).encode("utf-8", "backslashreplace")

    @classmethod
    def from_bytes(cls, data: bytes) -> Vocabulary:
        """Read the file back.

        Raises:
            BundleFormatError: not such a file; names the line.
        """
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as exc:
            line = data.count(b"\n", 0, exc.start) + 1
            raise BundleFormatError(f"vocabulary, line {line}: not UTF-8") from None
        lines = text.split("\n")
        if lines.pop():
            raise BundleFormatError(f"vocabulary, line {len(lines) + 1}: cut off")
        if "\\" in text:
            lines = [_unescape(line, number) for number, line in enumerate(lines, 1)]
        try:
            return cls(lines)
        except ValueError as exc:
            raise BundleFormatError(str(exc)) from None


def _escape(token: str) -> str:
    return token.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")


def _unescape(line: str, number: int) -> str:
    def character(match: re.Match[str]) -> str:
        code = match[1]
        if code is None:
            raise BundleFormatError(f"vocabulary, line {number}: unknown escape")
        return {"\\": "\\", "n": "\n", "r": "\r"}.get(code) or chr(int(code[1:], 16))

    return _ESCAPED.sub(character, line)

"""Subword tokenizer: a Unigram language model that is learned here and applied by HF tokenizers (extra ``subword``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

import msgspec

from sortgate.components.bytelevel import ByWord, import_tokenizers
from sortgate.components.learned import count, nothing_learned, read_state
from sortgate.components.parameters import whole_number
from sortgate.components.unigram_model import LONGEST_WORD, learn_pieces


class UnigramState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The pieces with the logarithms of their probabilities, the most probable first."""

    version: Literal[1]
    pieces: list[tuple[Annotated[str, msgspec.Meta(min_length=1)], Annotated[float, msgspec.Meta(ge=-1e3, le=0)]]]


class Unigram:
    """Splits each word into its most probable pieces (Kudo 2018); bytes are pieces too, so any text can be written.

    Pieces are written with the 256 signs of byte-level BPE, one a byte, and so no character is unknown, new emoji and
    scripts included; a space goes with the word that follows.

    Args:
        vocab_size: how many pieces at most, the 256 bytes among them.
        max_piece_bytes: of one piece: in most Asian scripts a character has three.
    """

    def __init__(self, vocab_size: int = 8000, max_piece_bytes: int = 16) -> None:
        self._vocab_size = whole_number("vocab_size", vocab_size, 256, 100_000)
        self._max_piece_bytes = whole_number("max_piece_bytes", max_piece_bytes, 1, LONGEST_WORD)
        self._library = import_tokenizers("sortgate.unigram.v1")
        self._bytes = sorted(self._library.pre_tokenizers.ByteLevel.alphabet())
        self._pieces: list[tuple[str, float]] = []
        self._by_word: ByWord | None = None

    def fit(self, texts: Sequence[str]) -> None:
        """Learn the pieces from normalized texts.

        Not by the library's own trainer: of the same texts, 0.23.3 gives other bytes in each process (the scores' last
        digits, the order of the pieces).
        """
        self._use(learn_pieces(count(self._words(texts)), self._bytes, self._vocab_size, self._max_piece_bytes))

    def state(self) -> bytes:
        """Return the pieces, as JSON."""
        self._fitted()
        return msgspec.json.encode(UnigramState(1, self._pieces))

    def restore(self, state: bytes) -> None:
        """Read the pieces back.

        Raises:
            ValueError: not a state of this component with these parameters.
        """
        pieces = read_state(state, UnigramState).pieces
        names = {piece for piece, _ in pieces}
        signs = set(self._bytes)
        if len(names) != len(pieces) or len(pieces) > self._vocab_size or not names >= signs:
            raise ValueError(
                "the learned state is malformed: pieces twice, more than vocab_size, or a byte without one"
            )
        if max(map(len, names)) > self._max_piece_bytes or not signs.issuperset("".join(names)):
            raise ValueError("the learned state is malformed: a piece is too long, or not of the signs of bytes")
        self._use(pieces)

    def __call__(self, text: str) -> list[str]:
        return self._fitted().tokens(text)

    def batch(self, texts: Sequence[str]) -> list[list[str]]:
        return [self(text) for text in texts]

    def _words(self, texts: Sequence[str]) -> Iterator[list[str]]:
        split = self._library.pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str
        for text in texts:
            yield [word for word, _ in split(text)]

    def _use(self, pieces: list[tuple[str, float]]) -> None:
        tokenizer = self._library.Tokenizer(self._library.models.Unigram(pieces, None, False))
        tokenizer.pre_tokenizer = self._library.pre_tokenizers.ByteLevel(add_prefix_space=False)
        self._pieces, self._by_word = pieces, ByWord(tokenizer)

    def _fitted(self) -> ByWord:
        if self._by_word is None:
            raise nothing_learned("the Unigram tokenizer")
        return self._by_word

"""Ids of what stands between white space, tokenized and looked up once: most of a text's words were in texts before."""

from __future__ import annotations

from collections.abc import Callable

from sortgate.encoded import pack_ids
from sortgate.vocabulary import Vocabulary

#: Longer pieces come once; most pieces that are kept, some 10 MB, before all of them are forgotten.
LONGEST_PIECE, MOST_PIECES = 32, 65_536


class Pieces(dict[str, bytes]):
    """Piece to packed ids; a piece that is not there is tokenized.

    A lookup costs no more than a dictionary's, in C, and so a text costs one a piece instead of a regular expression's
    match and a lookup a token. Threads may share it.

    Args:
        tokenize: one piece to its tokens; may raise.
        vocabulary: tokens to ids.

    Attributes:
        vocabulary: as given.
    """

    def __init__(self, tokenize: Callable[[str], list[str]], vocabulary: Vocabulary) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self._tokenize = tokenize

    def __missing__(self, piece: str) -> bytes:
        """Tokenize."""
        packed = pack_ids(self.vocabulary.encode(self._tokenize(piece)))
        if len(piece) <= LONGEST_PIECE:
            if len(self) >= MOST_PIECES:
                # what is frequent is back within a few texts, so no order of use need be kept
                self.clear()
            self[piece] = packed
        return packed

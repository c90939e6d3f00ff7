"""The n-gram path as tables: everything it says of a text is a sum of rows that its token ids look up.

A word's own weights and those of its character n-grams are one row; a pair of neighbours is found by its exact key.
With ``S`` the sums of weights and ``Q`` those of squared norms, the logits are
``bias + (S(words) + S(pairs)) / √(Q(words) + Q(pairs)) + S(characters) / √Q(characters)``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sortgate_training.pairs import PairTable, pair_keys
from sortgate_training.regression import Penalty

FloatArray = npt.NDArray[np.float32]

#: Least squared norm: a text without any known word gets the bias alone.
LEAST_NORM = 1e-6


@dataclass(frozen=True)
class NgramTables:
    """What the graph holds.

    Attributes:
        words: ``[vocabulary, 2·labels + 2]``: weights of the word, its squared idf, weights of its character n-grams,
            their squared norm. The row of the padding id is 0.
        pairs: ``[pairs + 1, labels + 1]``: weights of a pair of words and its squared idf; row 0, of no pair, is 0.
        keys: finds a pair's row.
        bias: ``[labels]``.
        penalty: that they were fitted with.
    """

    words: FloatArray
    pairs: FloatArray
    keys: PairTable
    bias: FloatArray
    penalty: Penalty

    @property
    def labels(self) -> int:
        """Count of labels."""
        return len(self.bias)

    def scaled(self, factor: float) -> NgramTables:
        """Return tables whose logits are ``factor`` times these."""
        count = self.labels
        words, pairs = self.words.copy(), self.pairs.copy()
        words[:, :count] *= factor
        words[:, count + 1 : -1] *= factor
        pairs[:, :count] *= factor
        return replace(self, words=words, pairs=pairs, bias=(self.bias * factor).astype(np.float32))

    def logits(self, texts: Any) -> FloatArray:
        """Return logits ``[texts, labels]`` of an :class:`~sortgate_training.batches.EncodedTexts`."""
        ids, rows, count = texts.flat(), text_rows(texts), self.labels
        starts = np.cumsum(texts.lengths) - texts.lengths
        found = self.keys.rows(pair_keys(ids, rows, self.keys.size))
        words = np.add.reduceat(self.words[ids], starts, axis=0, dtype=np.float64)
        pairs = np.add.reduceat(self.pairs[found], starts, axis=0, dtype=np.float64)
        word_norm = np.sqrt(np.maximum(words[:, count] + pairs[:, count], LEAST_NORM))
        character_norm = np.sqrt(np.maximum(words[:, -1], LEAST_NORM))
        logits = (words[:, :count] + pairs[:, :count]) / word_norm[:, None]
        logits += words[:, count + 1 : -1] / character_norm[:, None]
        summed: FloatArray = (logits + self.bias).astype(np.float32)
        return summed


def text_rows(texts: Any) -> npt.NDArray[np.int64]:
    """Return the number of the text to which each id belongs."""
    rows: npt.NDArray[np.int64] = np.repeat(np.arange(len(texts)), texts.lengths)
    return rows

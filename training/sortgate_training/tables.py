"""The n-gram path as tables: everything it says of a text is a sum of rows that its token ids look up.

A word's own weights and those of its character n-grams are one row; a pair of neighbours is found by its exact key.
A row that a text looks up ``c`` times counts ``f(c) = 1 + ln 2 · ⌊log₂ c⌋`` times, up to ``c = 8``: a logarithm in
steps, which a graph can tell from neighbours in a sorted list. With ``S`` the sums of ``f · weights``, and ``Q`` those
of ``f² · squared norm`` for words and pairs, of ``f · squared norm`` for characters, the logits are
``bias + (S(words) + S(pairs)) / √(Q(words) + Q(pairs)) + S(characters) / √Q(characters)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sortgate_training.pairs import PairTable, pair_keys
from sortgate_training.regression import Penalty

FloatArray = npt.NDArray[np.float32]

#: Least squared norm: a text without any known word gets the bias alone.
LEAST_NORM = 1e-6
#: Occurrences from which on a row counts a step more, and the step.
STEPS, STEP = (2, 4, 8), math.log(2.0)


@dataclass(frozen=True)
class NgramTables:
    """What the graph holds.

    Attributes:
        words: ``[vocabulary, 2·labels + 2]``: weights of the word, its squared idf, weights of its character n-grams,
            their squared norm. The row of the padding id is 0.
        pairs: ``[pairs + 1, labels + 1]``: weights of a pair of words and its squared idf; row 0, of no pair, is 0.
        keys: finds a pair's row.
        bias: ``[labels]``.
        penalties: those that led to the weights, of :class:`~sortgate_training.regression.Fit`.
    """

    words: FloatArray
    pairs: FloatArray
    keys: PairTable
    bias: FloatArray
    penalties: tuple[Penalty, ...]

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
        found = self.keys.rows(pair_keys(ids, rows, self.keys.size))
        words, word_squares = _sums(self.words, ids, rows, count)
        pairs, pair_squares = _sums(self.pairs, found, rows, count)
        word_norm = np.sqrt(np.maximum(word_squares + pair_squares, LEAST_NORM))
        character_norm = np.sqrt(np.maximum(words[:, -1], LEAST_NORM))
        logits = (words[:, :count] + pairs[:, :count]) / word_norm[:, None]
        logits += words[:, count + 1 : -1] / character_norm[:, None]
        summed: FloatArray = (logits + self.bias).astype(np.float32)
        return summed


def count_distinct(rows: Any, columns: Any, width: int) -> tuple[Any, Any, Any]:
    """Return the distinct (row, column), ascending, and how often each occurs."""
    both, counts = np.unique(rows.astype(np.int64) * width + columns, return_counts=True)
    return both // width, both % width, counts


def damped(counts: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return ``f`` of the counts, which are 1 at least."""
    steps: npt.NDArray[np.float64] = 1.0 + STEP * np.searchsorted(STEPS, counts, side="right").astype(np.float64)
    return steps


def _sums(table: FloatArray, numbers: Any, rows: Any, squared: int) -> tuple[Any, Any]:
    """Return the sums ``[texts, columns]`` of the rows looked up, each ``f`` times; of one column also ``f²`` times."""
    text, number, counts = count_distinct(rows, numbers, len(table))
    starts = np.flatnonzero(np.diff(text, prepend=-1))  # each text has a token at least
    factors, found = damped(counts), table[number]
    sums = np.add.reduceat(found * factors.astype(np.float32)[:, None], starts, axis=0, dtype=np.float64)
    return sums, np.add.reduceat(found[:, squared] * factors**2, starts)


def text_rows(texts: Any) -> npt.NDArray[np.int64]:
    """Return the number of the text to which each id belongs."""
    rows: npt.NDArray[np.int64] = np.repeat(np.arange(len(texts)), texts.lengths)
    return rows

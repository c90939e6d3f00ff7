"""Fits the n-gram path, a logistic regression over words, word pairs and the characters of words.

Its features are TF-IDF with L2 norms (Salton & Buckley 1988), one norm for words and pairs and one for characters. A
term's frequency is damped: what a text repeats over and over, a name mostly, would outweigh what it says. Every part
is one of a token or of a pair of them, so that the fitted model is sums of table rows: :mod:`sortgate_training.tables`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from sortgate.vocabulary import FIRST_ID, Vocabulary
from sortgate_training.batches import EncodedTexts
from sortgate_training.config import NgramConfig
from sortgate_training.features import BLOCK, Features
from sortgate_training.pairs import build_pair_table, pair_keys
from sortgate_training.parallel import SideBySide, one_thread
from sortgate_training.regression import Fit, Penalty, Regression
from sortgate_training.tables import LEAST_NORM, NgramTables, count_distinct, damped, text_rows

#: What the features of characters are multiplied by, so that the penalty falls on them four times as hard.
CHARACTERS = 0.5


def fit_ngrams(
    learned: EncodedTexts,
    judged: EncodedTexts | None,
    vocabulary: Vocabulary,
    labels: int,
    config: NgramConfig,
    *,
    penalties: tuple[Penalty, ...] = (),
) -> NgramTables:
    """Fit the path; the penalty is the best of those tried on the validation texts, or given.

    Args:
        learned: training texts, every label among them.
        judged: validation texts, None where penalties are given.
        vocabulary: whose tokens the ids are.
        labels: how many there are.
        config: sizes.
        penalties: found by a search on other texts.
    """
    features = _Features(learned, vocabulary, config)
    with one_thread(), SideBySide() as sides:
        regression = Regression(features.matrix(learned, sides), learned.targets, labels, config.iterations)
        if penalties:
            return features.tables(regression.again(penalties))
        if judged is None:
            raise ValueError("give texts to judge by, or penalties")
        return features.tables(regression.search(features.matrix(judged, sides), judged.targets))


class _Features:
    """Words, pairs of words and character n-grams, with their inverse document frequencies."""

    def __init__(self, texts: EncodedTexts, vocabulary: Vocabulary, config: NgramConfig) -> None:
        self._size = len(vocabulary)
        count = len(texts)
        ids, rows = texts.flat(), text_rows(texts)
        seen = np.bincount(count_distinct(rows, ids, self._size)[1], minlength=self._size)
        self._idf = _idf(seen, count)
        self._idf[0] = 0.0
        kept, numbers, occurrences = np.unique(
            pair_keys(ids, rows, self._size), return_inverse=True, return_counts=True
        )
        frequent = np.flatnonzero((occurrences >= config.min_count) & (kept >= 0))
        most = np.argsort(-occurrences[frequent], kind="stable")[: config.max_pairs]
        frequent = np.sort(frequent[most])
        self.keys = build_pair_table(kept[frequent], self._size)
        in_texts = np.bincount(count_distinct(rows, numbers, len(kept))[1], minlength=len(kept))
        pair_idf = np.zeros(len(frequent) + 1)
        pair_idf[self.keys.rows(kept[frequent])] = _idf(in_texts[frequent], count)
        pair_idf[0] = 0.0
        self._pair_idf = pair_idf
        self._characters = _character_matrix(vocabulary, seen, count, config)
        self._parts = self._characters.astype(np.float32)
        self._character_norms = self._characters.power(2).sum(axis=1).A1  # squared, of each word

    def matrix(self, texts: EncodedTexts, sides: SideBySide | None = None) -> Features:
        """Return the features ``[texts, words + pairs + character n-grams]``, float32, with ``sides`` to multiply on.

        Made in blocks of texts: in float64, and joined at once, they would be most of a run's memory.
        """
        ends = np.cumsum(texts.lengths)
        blocks = []
        for first in range(0, len(texts), BLOCK):
            last = min(first + BLOCK, len(texts))
            start, end = int(ends[first] - texts.lengths[first]), int(ends[last - 1])
            rows = np.repeat(np.arange(last - first), texts.lengths[first:last])
            blocks.append(self._block(texts.flat()[start:end], rows, last - first))
        own, words = (sparse.vstack(part, format="csr") for part in zip(*blocks, strict=True))
        return Features(own, words, self._parts, sides)

    def _block(self, ids: Any, rows: Any, count: int) -> tuple[Any, Any]:
        """Return words and pairs of ``count`` texts, and the words that their character n-grams follow from."""
        words = _frequencies(rows, ids, (count, self._size))
        found = self.keys.rows(pair_keys(ids, rows, self._size))
        pairs = _frequencies(rows[found > 0], found[found > 0], (count, len(self._pair_idf)))
        weighted = sparse.hstack([words @ sparse.diags(self._idf), pairs @ sparse.diags(self._pair_idf)])
        own = _divided(weighted, weighted.power(2).sum(axis=1).A1)
        characters = CHARACTERS * _divided(words, words @ self._character_norms)
        return own.tocsr().astype(np.float32), characters.tocsr().astype(np.float32)

    def tables(self, fit: Fit) -> NgramTables:
        """Return the weights as lookups."""
        coefficients = fit.coefficients
        pairs_at, characters_at = self._size, self._size + len(self._pair_idf)
        word = coefficients[:, :pairs_at].T * self._idf[:, None]
        pair = coefficients[:, pairs_at:characters_at].T * self._pair_idf[:, None]
        character = CHARACTERS * (self._characters @ coefficients[:, characters_at:].T)
        words = np.column_stack([word, self._idf**2, character, self._character_norms]).astype(np.float32)
        pairs = np.column_stack([pair, self._pair_idf**2]).astype(np.float32)
        return NgramTables(words, pairs, self.keys, np.asarray(fit.intercept, dtype=np.float32), fit.penalties)


def _divided(matrix: Any, squared_norms: npt.NDArray[np.float64]) -> Any:
    return sparse.diags(1.0 / np.sqrt(np.maximum(squared_norms, LEAST_NORM))) @ matrix


def _idf(texts_with: npt.NDArray[np.int64], texts: int) -> npt.NDArray[np.float64]:
    """Return the smoothed inverse document frequency, ``ln((1 + texts) / (1 + texts with it)) + 1``."""
    idf: npt.NDArray[np.float64] = np.log((1.0 + texts) / (1.0 + texts_with)) + 1.0
    return idf


def _frequencies(rows: Any, columns: Any, shape: tuple[int, int]) -> Any:
    """Return the damped frequency of each column in each row."""
    at, column, counts = count_distinct(rows, columns, shape[1])
    return sparse.csr_matrix((damped(counts), (at, column)), shape=shape)


def _character_matrix(
    vocabulary: Vocabulary, seen: npt.NDArray[np.int64], texts: int, config: NgramConfig
) -> sparse.csr_matrix:
    """Return ``[vocabulary, character n-grams]``: occurrences in the word times the n-gram's idf."""
    per_word = [Counter(character_ngrams(token, config.characters)) for token in vocabulary]
    words_with: Counter[str] = Counter()
    for word, ngrams in enumerate(per_word, FIRST_ID):
        # texts with the n-gram, as if no text had two words with it
        words_with.update(dict.fromkeys(ngrams, int(seen[word])))
    columns = {
        ngram: number
        for number, ngram in enumerate(name for name, count in words_with.items() if count >= config.min_count)
    }
    in_texts = np.fromiter((min(words_with[name], texts) for name in columns), dtype=np.int64, count=len(columns))
    idf = _idf(in_texts, texts)
    entries = [
        (word, columns[ngram], count)
        for word, ngrams in enumerate(per_word, FIRST_ID)
        for ngram, count in ngrams.items()
        if ngram in columns
    ]
    shape = (len(vocabulary), max(1, len(columns)))
    if not entries:
        return sparse.csr_matrix(shape)
    rows, positions, counts = (np.array(part) for part in zip(*entries, strict=True))
    return sparse.csr_matrix((counts * idf[positions], (rows, positions)), shape=shape)


def character_ngrams(token: str, lengths: tuple[int, int]) -> Iterator[str]:
    """Yield the n-grams of a token between marks of its beginning and end, of each length from ``lengths``."""
    marked = f"\x02{token}\x03"
    for length in range(lengths[0], min(lengths[1], len(marked)) + 1):
        for start in range(len(marked) - length + 1):
            yield marked[start : start + length]

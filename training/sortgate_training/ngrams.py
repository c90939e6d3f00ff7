"""Fits the n-gram path, a logistic regression over words, word pairs and the characters of words.

Its features are TF-IDF with L2 norms (Salton & Buckley 1988), one norm for words and pairs and one for characters,
every occurrence counted by itself, so that the fitted model is sums of table rows: :mod:`sortgate_training.tables`.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from sortgate.vocabulary import FIRST_ID, Vocabulary
from sortgate_training.batches import EncodedTexts
from sortgate_training.calibration import negative_log_likelihood
from sortgate_training.config import NgramConfig
from sortgate_training.pairs import build_pair_table, pair_keys
from sortgate_training.tables import LEAST_NORM, NgramTables, text_rows

#: Inverse strengths of the penalty that are tried, weakest model first.
STRENGTHS = (1.0, 4.0, 16.0, 64.0)
#: Regressions fitted at once where texts have sets of labels: their weights and L-BFGS's memory are dense.
_AT_ONCE = 64
#: Texts whose features are made at once.
BLOCK = 2_000


def fit_ngrams(
    learned: EncodedTexts,
    judged: EncodedTexts | None,
    vocabulary: Vocabulary,
    labels: int,
    config: NgramConfig,
    *,
    strength: float | None = None,
) -> NgramTables:
    """Fit the path; the strength of the penalty is the best of :data:`STRENGTHS` on the validation texts, or given.

    Args:
        learned: training texts, every label among them.
        judged: validation texts, None where the strength is given.
        vocabulary: whose tokens the ids are.
        labels: how many there are.
        config: sizes.
        strength: one of :data:`STRENGTHS`; it is reached by way of those before, as in a search.
    """
    features = _Features(learned, vocabulary, config)
    x = features.matrix(learned)
    each = _fit_each if learned.targets.ndim == 2 else _fit_one
    fits = each(x, learned.targets, labels, config.iterations)
    if judged is None:
        found = next(fit for fit in fits if fit.strength == strength)
    else:
        found = _best(fits, features.matrix(judged), judged.targets)
    return features.tables(found)


class _Fit(NamedTuple):
    """Weights ``[labels, features]`` and ``[labels]``, which the next fit may overwrite."""

    strength: float
    coefficients: Any
    intercept: Any


def _best(fits: Iterator[_Fit], held_out: Any, targets: npt.NDArray[Any]) -> _Fit:
    """Return the fit after which the loss rises."""
    least, kept = np.inf, None
    for fit in fits:
        loss = negative_log_likelihood((held_out @ fit.coefficients.T + fit.intercept).astype(np.float32), targets)
        if kept is not None and loss >= least:
            break
        least, kept = loss, _Fit(fit.strength, fit.coefficients.copy(), fit.intercept.copy())
    return cast("_Fit", kept)  # there is a first one


def _fit_one(x: Any, targets: Any, labels: int, iterations: int) -> Iterator[_Fit]:
    """Yield logistic regressions over all labels, each from where the last one ended."""
    model = LogisticRegression(C=STRENGTHS[0], max_iter=iterations, warm_start=True)
    for strength in STRENGTHS:
        model.set_params(C=strength)
        with warnings.catch_warnings():
            # an early end is a further penalty, which validation judges like the other
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(x, targets)
        coefficients, intercept = model.coef_, model.intercept_
        if labels == 2:  # of which scikit-learn has one row
            coefficients = np.concatenate([-coefficients, coefficients]) / 2
            intercept = np.concatenate([-intercept, intercept]) / 2
        yield _Fit(strength, coefficients, intercept)


def _fit_each(x: Any, targets: Any, labels: int, iterations: int) -> Iterator[_Fit]:
    """Yield one logistic regression a label, all with the same strength, likewise."""
    transposed = x.T.tocsr()
    coefficients, intercept = np.zeros((labels, x.shape[1]), np.float32), np.zeros(labels)
    for strength in STRENGTHS:
        for start in range(0, labels, _AT_ONCE):
            block = slice(start, start + _AT_ONCE)
            coefficients[block], intercept[block] = _fit_block(
                x, transposed, targets[:, block], coefficients[block], intercept[block], strength, iterations
            )
        yield _Fit(strength, coefficients, intercept)


def _fit_block(
    x: Any, transposed: Any, targets: Any, coefficients: Any, intercept: Any, strength: float, iterations: int
) -> Any:
    """Return the weights ``[labels, features]`` and ``[labels]``, from where they are.

    One L-BFGS over all labels: it reads the sparse features once a step, not once a step and label.
    """
    shape = (x.shape[1] + 1, targets.shape[1])
    truth = targets.astype(np.float32)

    def loss(flat: Any) -> tuple[float, Any]:
        weights = flat.reshape(shape)
        logits = x @ weights[:-1].astype(np.float32) + weights[-1].astype(np.float32)
        losses = np.logaddexp(0.0, np.where(targets, -logits, logits)).sum(dtype=np.float64)
        errors = expit(logits) - truth
        gradient = np.empty(shape)
        gradient[:-1] = transposed @ errors + weights[:-1] / strength
        gradient[-1] = errors.sum(axis=0, dtype=np.float64)
        return float(losses + 0.5 * (weights[:-1] ** 2).sum() / strength), gradient.ravel()

    first = np.concatenate([coefficients.T, intercept[None, :]]).astype(np.float64).ravel()
    found = minimize(loss, first, jac=True, method="L-BFGS-B", options={"maxiter": iterations, "maxcor": 6}).x
    weights = found.reshape(shape)
    return weights[:-1].T.astype(np.float32), weights[-1]


class _Features:
    """Words, pairs of words and character n-grams, with their inverse document frequencies."""

    def __init__(self, texts: EncodedTexts, vocabulary: Vocabulary, config: NgramConfig) -> None:
        self._size = len(vocabulary)
        count = len(texts)
        ids, rows = texts.flat(), text_rows(texts)
        seen = np.bincount(_distinct(rows, ids, self._size)[1], minlength=self._size)
        self._idf = _idf(seen, count)
        self._idf[0] = 0.0
        kept, numbers, occurrences = np.unique(
            pair_keys(ids, rows, self._size), return_inverse=True, return_counts=True
        )
        frequent = np.flatnonzero((occurrences >= config.min_count) & (kept >= 0))
        most = np.argsort(-occurrences[frequent], kind="stable")[: config.max_pairs]
        frequent = np.sort(frequent[most])
        self.keys = build_pair_table(kept[frequent], self._size)
        in_texts = np.bincount(_distinct(rows, numbers, len(kept))[1], minlength=len(kept))
        pair_idf = np.zeros(len(frequent) + 1)
        pair_idf[self.keys.rows(kept[frequent])] = _idf(in_texts[frequent], count)
        pair_idf[0] = 0.0
        self._pair_idf = pair_idf
        self._characters = _character_matrix(vocabulary, seen, count, config)
        self._character_norms = self._characters.power(2).sum(axis=1).A1  # squared, of each word

    def matrix(self, texts: EncodedTexts) -> Any:
        """Return the features ``[texts, words + pairs + character n-grams]``, float32.

        Made in blocks of texts: in float64, and joined at once, they would be most of a run's memory.
        """
        ends = np.cumsum(texts.lengths)
        blocks = []
        for first in range(0, len(texts), BLOCK):
            last = min(first + BLOCK, len(texts))
            start, end = int(ends[first] - texts.lengths[first]), int(ends[last - 1])
            rows = np.repeat(np.arange(last - first), texts.lengths[first:last])
            blocks.append(self._block(texts.flat()[start:end], rows, last - first))
        width = blocks[0].shape[1]
        starts = np.cumsum([0, *(block.nnz for block in blocks)])
        ends_of_rows = np.concatenate(
            [[0], *(block.indptr[1:].astype(np.int64) + at for block, at in zip(blocks, starts, strict=False))]
        )
        data, indices = np.empty(starts[-1], np.float32), np.empty(starts[-1], np.int32)
        for number, at in enumerate(starts[:-1]):
            block, blocks[number] = blocks[number], None  # each is let go when it is copied
            data[at : at + block.nnz], indices[at : at + block.nnz] = block.data, block.indices
        kind = np.int32 if starts[-1] < 2**31 else np.int64
        return sparse.csr_matrix((data, indices, ends_of_rows.astype(kind)), shape=(len(texts), width), copy=False)

    def _block(self, ids: Any, rows: Any, count: int) -> Any:
        """Return the features of ``count`` texts."""
        words = _counts(rows, ids, (count, self._size))
        found = self.keys.rows(pair_keys(ids, rows, self._size))
        pairs = _counts(rows[found > 0], found[found > 0], (count, len(self._pair_idf)))
        word_norm = words @ self._idf**2 + pairs @ self._pair_idf**2
        weighted = sparse.hstack([words @ sparse.diags(self._idf), pairs @ sparse.diags(self._pair_idf)])
        characters = _divided(words @ self._characters, words @ self._character_norms)
        return sparse.hstack([_divided(weighted, word_norm), characters], dtype=np.float32).tocsr()

    def tables(self, fit: _Fit) -> NgramTables:
        """Return the weights as lookups."""
        coefficients = fit.coefficients
        pairs_at, characters_at = self._size, self._size + len(self._pair_idf)
        word = coefficients[:, :pairs_at].T * self._idf[:, None]
        pair = coefficients[:, pairs_at:characters_at].T * self._pair_idf[:, None]
        character = self._characters @ coefficients[:, characters_at:].T
        words = np.column_stack([word, self._idf**2, character, self._character_norms]).astype(np.float32)
        pairs = np.column_stack([pair, self._pair_idf**2]).astype(np.float32)
        return NgramTables(words, pairs, self.keys, np.asarray(fit.intercept, dtype=np.float32), fit.strength)


def _divided(matrix: Any, squared_norms: npt.NDArray[np.float64]) -> Any:
    return sparse.diags(1.0 / np.sqrt(np.maximum(squared_norms, LEAST_NORM))) @ matrix


def _idf(texts_with: npt.NDArray[np.int64], texts: int) -> npt.NDArray[np.float64]:
    """Return the smoothed inverse document frequency, ``ln((1 + texts) / (1 + texts with it)) + 1``."""
    idf: npt.NDArray[np.float64] = np.log((1.0 + texts) / (1.0 + texts_with)) + 1.0
    return idf


def _distinct(rows: Any, columns: Any, width: int) -> tuple[Any, Any]:
    """Return the distinct (row, column)."""
    both = np.unique(rows.astype(np.int64) * width + columns)
    return both // width, both % width


def _counts(rows: Any, columns: Any, shape: tuple[int, int]) -> Any:
    """Return how often each column occurs in each row."""
    return sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=shape)


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

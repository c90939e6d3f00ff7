"""Sparse features that are products: what a text has of its words' n-grams follows from its words.

A text of 50 words has some 600 character n-grams, but only 50 words. So products with the weights go through two
factors, and the matrix that says what each text has is never made.
"""

from __future__ import annotations

import itertools
import warnings
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse

from sortgate_training.parallel import SIDES, SideBySide

#: Texts whose product is made at once.
BLOCK = 2_000


class Features:
    """The matrix ``[own, words · parts]``, as factors; products with it are PyTorch's, faster than SciPy's.

    Args:
        own: ``[texts, features]``, sparse rows, float32.
        words: ``[texts, words]``.
        parts: ``[words, parts]``.
        sides: threads to multiply on; None for this one.
    """

    def __init__(self, own: Any, words: Any, parts: Any, sides: SideBySide | None = None) -> None:
        self._factors = (own, words, parts)
        self._sides = sides
        self._along = [_Rows(factor, sides) for factor in self._factors]
        self.shape = (own.shape[0], own.shape[1] + parts.shape[1])

    @cached_property
    def _across(self) -> list[_Rows]:
        """The factors' transposes, which only those that learn from the texts need."""
        return [_Rows(factor.T.tocsr(), self._sides) for factor in self._factors]

    def __matmul__(self, weights: torch.Tensor) -> torch.Tensor:
        """Return ``[texts, columns]`` for weights ``[features, columns]``."""
        own, words, parts = self._along
        size = self._factors[0].shape[1]
        return own @ weights[:size] + words @ (parts @ weights[size:])

    def gathered(self, errors: torch.Tensor) -> torch.Tensor:
        """Return the transposed matrix times ``[texts, columns]``."""
        own, words, parts = self._across
        return torch.cat([own @ errors, parts @ (words @ errors)])

    def counts(self, truth: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return ``[features, columns]``, how many of the texts that a column is 1 for have each feature."""
        own, words, parts = map(_ones, self._factors)
        with_part = np.zeros((parts.shape[1], truth.shape[1]), np.float32)
        for first in range(0, len(truth), BLOCK):
            block = slice(first, first + BLOCK)
            with_part += _ones(words[block] @ parts).T @ truth[block]
        return np.concatenate([own.T @ truth, with_part])


class _Rows:
    """A sparse matrix in blocks of rows, which are multiplied side by side: a row's sum is the same on any thread."""

    def __init__(self, matrix: Any, sides: SideBySide | None) -> None:
        self._sides = sides
        matrix.sort_indices()
        shares = np.linspace(0, matrix.nnz, SIDES + 1)[1:-1]  # of the work, which is the entries'
        ends = [0, *np.searchsorted(matrix.indptr, shares).tolist(), matrix.shape[0]]
        self._blocks = [_tensor(matrix, start, end) for start, end in itertools.pairwise(ends) if start < end]

    def __matmul__(self, columns: torch.Tensor) -> torch.Tensor:
        multiply = partial(torch.mm, mat2=columns)
        return torch.cat(list((map if self._sides is None else self._sides.map)(multiply, self._blocks)))


def _tensor(matrix: Any, start: int, end: int) -> torch.Tensor:
    """Return some rows as PyTorch's, over the same memory; column numbers must be sorted."""
    entries = slice(int(matrix.indptr[start]), int(matrix.indptr[end]))
    numbers = matrix.indptr[start : end + 1] - matrix.indptr[start]
    with warnings.catch_warnings():
        # the second is PyTorch 2.11's, which says it although the checks are asked for
        warnings.filterwarnings("ignore", message="Sparse (CSR tensor support is in beta|invariant checks)")
        starts, columns, values = map(torch.from_numpy, (numbers, matrix.indices[entries], matrix.data[entries]))
        size = (end - start, matrix.shape[1])
        return torch.sparse_csr_tensor(starts, columns, values, size=size, check_invariants=True)


def _ones(matrix: Any) -> Any:
    return sparse.csr_matrix((np.ones(matrix.nnz, np.float32), matrix.indices, matrix.indptr), shape=matrix.shape)

"""Token vectors: a token's own, and the mean of those of its character n-grams (Bojanowski et al. 2017).

So rare words learn from words that are written alike. The graph holds the sums: serving pays nothing for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn

from sortgate.vocabulary import FIRST_ID, PADDING_ID
from sortgate_training.ngrams import character_ngrams

#: Shortest and longest n-gram, word boundaries included.
LENGTHS = (3, 5)
#: N-grams that have a vector at most: those that most tokens share. What one token has alone, its own vector learns.
MOST_NGRAMS = 2**15
_WORD_STD, _NGRAM_STD = 0.1, 0.25


class TokenEmbedding(nn.Module):
    """Maps ids of any shape to vectors ``[…, width]``; the padding id's is 0.

    Args:
        size: of the vocabulary.
        width: of a vector.
        tokens: of the vocabulary, in the order of their ids from ``FIRST_ID`` on; without, a token's own vector is all.
        names: the n-grams that have a vector; those that most tokens share unless given.
    """

    numbers: torch.Tensor
    starts: torch.Tensor
    counts: torch.Tensor

    def __init__(
        self, size: int, width: int, tokens: Iterable[str] | None = None, names: Sequence[str] | None = None
    ) -> None:
        super().__init__()
        self.words = nn.Embedding(size, width, padding_idx=PADDING_ID, sparse=True)
        nn.init.normal_(self.words.weight, std=_WORD_STD)
        with torch.no_grad():
            self.words.weight[PADDING_ID].zero_()
        self.ngrams: nn.Embedding | None = None
        #: the n-grams that have a vector, in the order of its rows
        listed = list(tokens or ())
        self.names = _shared_ngrams(listed) if names is None else list(names)
        if not self.names:
            return
        rows: list[list[int]] = [[] for _ in range(FIRST_ID)] + _numbered(listed, self.names)
        counts = torch.tensor([len(row) for row in rows])
        # known from the vocabulary, so no part of a checkpoint
        self.register_buffer("counts", counts, persistent=False)
        self.register_buffer("starts", counts.cumsum(0) - counts, persistent=False)
        self.register_buffer("numbers", torch.tensor([at for row in rows for at in row]), persistent=False)
        self.ngrams = nn.Embedding(len(self.names), width, sparse=True)
        nn.init.normal_(self.ngrams.weight, std=_NGRAM_STD)

    @property
    def size(self) -> int:
        """Count of ids."""
        return self.words.num_embeddings

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the vectors."""
        if self.ngrams is None:
            vectors: torch.Tensor = self.words(ids)
            return vectors
        distinct, places = torch.unique(ids, return_inverse=True)
        counts = self.counts[distinct]
        ends = counts.cumsum(0)
        bags = torch.arange(len(distinct), device=ids.device).repeat_interleave(counts)
        within = torch.arange(len(bags), device=ids.device) - (ends - counts)[bags]
        numbers = self.numbers[within + self.starts[distinct][bags]]
        means: torch.Tensor = _Means.apply(self.ngrams.weight, numbers, bags, counts)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        sums = self.words(distinct) + means
        # as an embedding of the sums: several times as fast as indexing, there and back
        return nn.functional.embedding(places, sums)

    def table(self) -> torch.Tensor:
        """Return the vectors of the whole vocabulary, ``[size, width]``."""
        with torch.no_grad():
            vectors: torch.Tensor = self(torch.arange(self.size, device=self.words.weight.device))
            return vectors


class _Means(torch.autograd.Function):
    """Means of rows of ``weight [rows, width]``, those of ``numbers`` bag by bag; an empty bag's is 0.

    PyTorch's own gradient of this holds a row for every number; here it holds one for every row that was looked up.
    """

    @staticmethod
    def forward(
        ctx: Any, weight: torch.Tensor, numbers: torch.Tensor, bags: torch.Tensor, counts: torch.Tensor
    ) -> torch.Tensor:
        """Return ``[bags, width]``, given each number's bag, in order, and how many numbers each bag has."""
        ctx.save_for_backward(numbers, bags, counts)
        ctx.rows = len(weight)
        return nn.functional.embedding_bag(numbers, weight, counts.cumsum(0) - counts, mode="mean")

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        """Return the gradient of ``weight``: of each row the sum of its bags', of which each is divided by its size."""
        numbers, bags, counts = ctx.saved_tensors
        ordered, order = torch.sort(numbers)
        rows, uses = torch.unique_consecutive(ordered, return_counts=True)
        shares = gradient / counts.clamp_min(1).unsqueeze(1)
        values = nn.functional.embedding_bag(bags[order], shares, uses.cumsum(0) - uses, mode="sum")
        size = (ctx.rows, gradient.shape[1])
        found = torch.sparse_coo_tensor(rows.unsqueeze(0), values, size, is_coalesced=True, check_invariants=False)
        return found, None, None, None


def _shared_ngrams(tokens: Sequence[str]) -> list[str]:
    """Return the n-grams that have a vector."""
    shared: Counter[str] = Counter()
    for token in tokens:
        shared.update(dict.fromkeys(character_ngrams(token, LENGTHS), 1))  # in an order that no hash decides
    return [ngram for ngram, count in shared.most_common(MOST_NGRAMS) if count > 1]


def _numbered(tokens: Sequence[str], names: Sequence[str]) -> list[list[int]]:
    """Return the numbers of each token's n-grams among those that have a vector."""
    numbers = {ngram: at for at, ngram in enumerate(names)}
    return [[numbers[ngram] for ngram in character_ngrams(token, LENGTHS) if ngram in numbers] for token in tokens]

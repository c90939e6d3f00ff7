"""Token vectors: a token's own, and the mean of those of its character n-grams (Bojanowski et al. 2017).

So rare words learn from words that are written alike. The graph holds the sums: serving pays nothing for it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import torch
from torch import nn

from sortgate.vocabulary import FIRST_ID, PADDING_ID
from sortgate_training.ngrams import character_ngrams

#: Shortest and longest n-gram, word boundaries included.
LENGTHS = (3, 5)
#: Vectors that the n-grams share by their hash.
BUCKETS = 2**15
_WORD_STD, _NGRAM_STD = 0.1, 0.25


class TokenEmbedding(nn.Module):
    """Maps ids of any shape to vectors ``[…, width]``; the padding id's is 0.

    Args:
        size: of the vocabulary.
        width: of a vector.
        tokens: of the vocabulary, in the order of their ids from ``FIRST_ID`` on; without, a token's own vector is all.
    """

    numbers: torch.Tensor
    starts: torch.Tensor
    counts: torch.Tensor

    def __init__(self, size: int, width: int, tokens: Iterable[str] | None = None) -> None:
        super().__init__()
        self.words = nn.Embedding(size, width, padding_idx=PADDING_ID, sparse=True)
        nn.init.normal_(self.words.weight, std=_WORD_STD)
        with torch.no_grad():
            self.words.weight[PADDING_ID].zero_()
        self.ngrams: nn.EmbeddingBag | None = None
        if tokens is None:
            return
        buckets: list[list[int]] = [[] for _ in range(FIRST_ID)]
        buckets.extend([_bucket(ngram) for ngram in character_ngrams(token, LENGTHS)] for token in tokens)
        counts = torch.tensor([len(row) for row in buckets])
        # known from the vocabulary, so no part of a checkpoint
        self.register_buffer("counts", counts, persistent=False)
        self.register_buffer("starts", counts.cumsum(0) - counts, persistent=False)
        self.register_buffer("numbers", torch.tensor([at for row in buckets for at in row]), persistent=False)
        self.ngrams = nn.EmbeddingBag(BUCKETS, width, mode="mean", sparse=True)
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
        numbers, offsets = self._ngrams_of(distinct)
        sums: torch.Tensor = self.words(distinct) + self.ngrams(numbers, offsets)  # an empty bag's mean is 0
        # as an embedding of the sums: several times as fast as indexing, there and back
        return nn.functional.embedding(places, sums)

    def _ngrams_of(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the ids' n-grams, one id after the other, and where each id's begin."""
        counts = self.counts[ids]
        offsets = counts.cumsum(0) - counts
        within = torch.arange(int(counts.sum()), device=ids.device) - offsets.repeat_interleave(counts)
        return self.numbers[within + self.starts[ids].repeat_interleave(counts)], offsets

    def table(self) -> torch.Tensor:
        """Return the vectors of the whole vocabulary, ``[size, width]``."""
        with torch.no_grad():
            vectors: torch.Tensor = self(torch.arange(self.size, device=self.words.weight.device))
            return vectors


def _bucket(ngram: str) -> int:
    return zlib.crc32(ngram.encode("utf-8", "surrogatepass")) % BUCKETS

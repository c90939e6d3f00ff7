"""The network: token vectors → recurrent layers over both directions → maximum and mean over time → logits.

Beside it lies the n-gram path, which is fitted elsewhere and only looked up here; the logits of both are added.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from sortgate.vocabulary import FIRST_ID, PADDING_ID, UNKNOWN_ID
from sortgate_training.config import ModelConfig
from sortgate_training.embedding import TokenEmbedding
from sortgate_training.pairs import NO_KEY
from sortgate_training.tables import LEAST_NORM, NgramTables, damped


class RecurrentClassifier(nn.Module):
    """Maps ids ``[batch, time]`` and lengths ``[batch]`` to logits ``[batch, labels]``.

    Padding is harmless to the forward direction, since nothing after a text's end is pooled. The backward direction is
    a second network that reads each text reversed within its own length: that way both run unpacked, on the fused CPU
    kernels.

    Args:
        config: the shape.
        vocabulary_size: ids there are.
        labels: logits there are.
        tokens: of the vocabulary, for the vectors of their characters; None for none.
    """

    def __init__(
        self, config: ModelConfig, vocabulary_size: int, labels: int, tokens: Iterable[str] | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.directions = 2 if config.bidirectional else 1
        self.embedding = TokenEmbedding(vocabulary_size, config.embedding, tokens)
        kind = nn.LSTM if config.cell == "lstm" else nn.GRU
        width = config.embedding
        #: networks of layer 0 forward, layer 0 backward, layer 1 forward, …
        self.rnns = nn.ModuleList()
        for _ in range(config.layers):
            self.rnns.extend(kind(width, config.hidden) for _ in range(self.directions))
            width = self.directions * config.hidden
        self.output = nn.Linear(2 * width, labels)
        self._initialise()

    def _initialise(self) -> None:
        """Start where gradients neither vanish nor explode.

        Orthogonal recurrent weights (Saxe et al. 2014) keep the norm of what flows through time; a forget gate that
        starts open (Jozefowicz et al. 2015) lets it flow at all.
        """
        hidden = self.config.hidden
        for rnn in self.rnns:
            for name, weight in rnn.named_parameters():
                if name.startswith("weight_ih"):
                    nn.init.xavier_uniform_(weight)
                elif name.startswith("weight_hh"):
                    for gate in torch.split(weight.data, hidden):
                        nn.init.orthogonal_(gate)
                else:
                    nn.init.zeros_(weight)
                    if name == "bias_ih_l0" and self.config.cell == "lstm":
                        weight.data[hidden : 2 * hidden] = 1.0  # gates are input, forget, cell, output
        nn.init.xavier_uniform_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor, random: torch.Generator | None = None) -> torch.Tensor:
        """Return logits; in training, what is dropped comes from ``random``, or else PyTorch's own generator."""
        return self.read(self.vectors(ids, random), lengths, random)

    def vectors(self, ids: torch.Tensor, random: torch.Generator | None = None) -> torch.Tensor:
        """Return the tokens' vectors ``[time, batch, embedding]``."""
        ids = ids.t().contiguous()  # the order the kernels want
        if self.training and self.config.token_dropout:
            dropped = torch.rand(ids.shape, generator=random, device=ids.device) < self.config.token_dropout
            ids = ids.masked_fill(dropped & (ids != PADDING_ID), UNKNOWN_ID)
        vectors: torch.Tensor = self.embedding(ids)
        return vectors

    def read(self, x: torch.Tensor, lengths: torch.Tensor, random: torch.Generator | None = None) -> torch.Tensor:
        """Return logits for vectors ``[time, batch, embedding]``."""
        position = torch.arange(len(x), device=x.device).unsqueeze(1)
        inside = position < lengths  # [time, batch]
        mirrored = torch.where(inside, lengths - 1 - position, position)
        if self.training:
            # the same elements of every step's vector: one mask a text (Gal & Ghahramani 2016), and far cheaper
            x = x * _mask(x[:1], self.config.embedding_dropout, random)
        for layer in range(self.config.layers):
            if layer and self.training:
                x = x * _mask(x, self.config.dropout, random)
            outputs = [self.rnns[layer * self.directions](x)[0]]
            if self.directions == 2:
                backward = self.rnns[layer * 2 + 1](_reorder(x, mirrored))[0]
                # Pooling does not ask for order, so the last layer's steps may stay reversed.
                last = layer == self.config.layers - 1
                outputs.append(backward if last else _reorder(backward, mirrored))
            x = torch.cat(outputs, dim=2)
        outside = ~inside.unsqueeze(2)
        largest = x.masked_fill(outside, torch.finfo(x.dtype).min).amax(dim=0)
        mean = x.masked_fill(outside, 0.0).sum(dim=0) / lengths.unsqueeze(1)
        pooled = torch.cat([largest, mean], dim=1)
        if self.training:
            pooled = pooled * _mask(pooled, self.config.dropout, random)
        logits: torch.Tensor = self.output(pooled)
        return logits


def _mask(like: torch.Tensor, dropped: float, random: torch.Generator | None) -> torch.Tensor:
    """Return what to multiply ``like`` by: 0 for the share ``dropped`` of its elements, and others raised to match."""
    return torch.empty_like(like).bernoulli_(1.0 - dropped, generator=random).div_(1.0 - dropped)


def _reorder(x: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """Return ``x [time, batch, width]`` with the steps of each text in ``order [time, batch]``."""
    return x.gather(0, order.unsqueeze(2).expand(-1, -1, x.shape[2]))


class NgramPath(nn.Module):
    """The n-gram path's tables as a module, to compare the graph with; PyTorch trains nothing of it."""

    words: torch.Tensor
    pairs: torch.Tensor
    bias: torch.Tensor

    def __init__(self, tables: NgramTables) -> None:
        super().__init__()
        self.tables = tables
        for name in ("words", "pairs", "bias"):
            self.register_buffer(name, torch.from_numpy(getattr(tables, name)))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Return logits ``[batch, labels]`` for ids ``[batch, time]``, padded with 0."""
        count = self.tables.labels
        left = ids.numpy().astype(np.int64)
        right = np.pad(left[:, 1:], ((0, 0), (0, 1)))
        keys = np.where((left >= FIRST_ID) & (right >= FIRST_ID), left * self.tables.keys.size + right, NO_KEY)
        words, word_squares = _looked_up(self.words, left, count)
        pairs, pair_squares = _looked_up(self.pairs, self.tables.keys.rows(keys), count)
        word_norm = (word_squares + pair_squares).clamp_min(LEAST_NORM).sqrt()
        character_norm = words[:, -1].clamp_min(LEAST_NORM).sqrt()
        logits = (words[:, :count] + pairs[:, :count]) / word_norm.unsqueeze(1)
        return logits + words[:, count + 1 : -1] / character_norm.unsqueeze(1) + self.bias


def _looked_up(table: torch.Tensor, numbers: npt.NDArray[np.int64], squared: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the sums of the rows for ``numbers [batch, time]``, each ``f`` times, and of one column ``f²`` times.

    Each occurrence has an equal part of ``f`` (:mod:`sortgate_training.tables`).
    """
    keys = np.arange(len(numbers))[:, None] * len(table) + numbers
    _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    shares = (damped(counts) / counts)[inverse].reshape(numbers.shape)
    squares = (damped(counts) ** 2 / counts)[inverse].reshape(numbers.shape)
    rows = table[torch.from_numpy(numbers)]
    weights, square_weights = (torch.from_numpy(each.astype(np.float32)) for each in (shares, squares))
    sums = torch.einsum("bt,btc->bc", weights, rows)
    return sums, torch.einsum("bt,bt->b", square_weights, rows[:, :, squared])


class HybridClassifier(nn.Module):
    """The recurrent network and the n-gram path: the sum of their logits, as the bundle serves it."""

    def __init__(self, recurrent: RecurrentClassifier, ngrams: NgramPath | None = None) -> None:
        super().__init__()
        self.recurrent = recurrent
        self.ngrams = ngrams

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        logits: torch.Tensor = self.recurrent(ids, lengths)
        return logits if self.ngrams is None else logits + self.ngrams(ids)

"""What a network has learned, carried over to one of another vocabulary: weights by name, vectors by token."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sortgate.vocabulary import FIRST_ID, UNKNOWN_ID, Vocabulary
from sortgate_training.model import RecurrentClassifier

WORDS, NGRAMS = "embedding.words.weight", "embedding.ngrams.weight"


@dataclass(frozen=True)
class Learned:
    """A network's vocabulary, character n-grams, and tensors, named as those of :class:`RecurrentClassifier`."""

    vocabulary: Vocabulary
    ngrams: Sequence[str]
    tensors: Mapping[str, torch.Tensor]

    @classmethod
    def of(cls, network: RecurrentClassifier, vocabulary: Vocabulary) -> Learned:
        """Return what the network has learned, over the same memory."""
        return cls(vocabulary, network.embedding.names, network.state_dict())

    def known(self, vocabulary: Vocabulary) -> npt.NDArray[np.int64]:
        """Return ``[tokens, 2]``: the ids, there and here, of the tokens that both have."""
        return _pairs(vocabulary, self.vocabulary) + FIRST_ID

    @torch.no_grad()
    def put_into(self, network: RecurrentClassifier, vocabulary: Vocabulary) -> None:
        """Give the network all that it has a place for; tokens that are new to it keep the vectors that they have."""
        at, froms = torch.from_numpy(self.known(vocabulary)).unbind(1)
        network.embedding.words.weight[UNKNOWN_ID] = self.tensors[WORDS][UNKNOWN_ID].to(network.embedding.words.weight)
        network.embedding.words.weight[at] = self.tensors[WORDS][froms].to(network.embedding.words.weight)
        if network.embedding.ngrams is not None and NGRAMS in self.tensors:
            at, froms = torch.from_numpy(_pairs(network.embedding.names, self.ngrams)).unbind(1)
            network.embedding.ngrams.weight[at] = self.tensors[NGRAMS][froms].to(network.embedding.ngrams.weight)
        others = {name: tensor for name, tensor in self.tensors.items() if name not in (WORDS, NGRAMS)}
        network.load_state_dict(others, strict=False)


def _pairs(there: Iterable[str], here: Iterable[str]) -> npt.NDArray[np.int64]:
    """Return ``[names, 2]``: the numbers, there and here, of the names that both have."""
    numbers: dict[str, Any] = {name: number for number, name in enumerate(here)}
    found = [(number, numbers[name]) for number, name in enumerate(there) if name in numbers]
    return np.array(found, dtype=np.int64).reshape(-1, 2)

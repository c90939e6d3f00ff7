"""What a network has learned, carried over to one of another vocabulary: weights by name, vectors by token."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from sortgate.vocabulary import FIRST_ID, UNKNOWN_ID, Vocabulary
from sortgate_training.embedding import TokenEmbedding
from sortgate_training.model import RecurrentClassifier


@dataclass(frozen=True)
class Learned:
    """What a network knows: its tokens, their vectors, and its other tensors, by name."""

    vocabulary: Vocabulary
    embedding: TokenEmbedding
    others: Mapping[str, torch.Tensor]

    @classmethod
    def of(cls, network: RecurrentClassifier, vocabulary: Vocabulary) -> Learned:
        """Return what the network knows, over the same memory."""
        tensors = network.state_dict()
        others = {name: tensor for name, tensor in tensors.items() if not name.startswith("embedding.")}
        return cls(vocabulary, network.embedding, others)

    def known(self, vocabulary: Vocabulary) -> npt.NDArray[np.int64]:
        """Return ``[tokens, 2]`` of the tokens that are in both: the id in ``vocabulary``, and in this one's."""
        return _pairs(vocabulary, self.vocabulary) + FIRST_ID

    @torch.no_grad()
    def put_into(self, network: RecurrentClassifier, vocabulary: Vocabulary) -> None:
        """Give the network all that it has a place for; tokens that are new to it keep the rows that they have.

        A token's vector is its own row and the mean of its n-grams' rows, of which it may have more here than there,
        since new tokens share them: so its own row is made what they leave over.

        Raises:
            ValueError: there are tensors that the network has not.
        """
        there, here = self.embedding, network.embedding
        if here.ngrams is not None and there.ngrams is not None:
            at, froms = torch.from_numpy(_pairs(here.names, there.names)).unbind(1)
            here.ngrams.weight[at] = there.ngrams.weight[froms].to(here.ngrams.weight)
        words = here.words.weight
        at, froms = torch.from_numpy(np.vstack([[UNKNOWN_ID, UNKNOWN_ID], self.known(vocabulary)])).unbind(1)
        words[at] = there.table()[froms].to(words) - (here.table() - words)[at]
        if unknown := network.load_state_dict(self.others, strict=False).unexpected_keys:
            raise ValueError(f"the network has no {unknown[0]}")


def _pairs(names: Iterable[str], others: Iterable[str]) -> npt.NDArray[np.int64]:
    """Return ``[common, 2]`` of the names that are among the others, too: their numbers here and there."""
    numbers = {name: number for number, name in enumerate(others)}
    found = [(number, numbers[name]) for number, name in enumerate(names) if name in numbers]
    return np.array(found, dtype=np.int64).reshape(-1, 2)

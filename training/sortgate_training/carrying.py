"""What a network has learned, carried over to one of another vocabulary: weights by name, vectors by token."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from sortgate.vocabulary import FIRST_ID, UNKNOWN_ID, Vocabulary
from sortgate_training.embedding import TokenEmbedding
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
        """Return ``[tokens, 2]`` of the tokens that are in both: the id in ``vocabulary``, and in this one's."""
        return _pairs(vocabulary, self.vocabulary) + FIRST_ID

    def vectors(self) -> torch.Tensor:
        """Return the tokens' vectors, ``[vocabulary, width]``."""
        names = {"words.weight": WORDS, **({"ngrams.weight": NGRAMS} if self.ngrams else {})}
        size, width = self.tensors[WORDS].shape
        embedding = TokenEmbedding(size, width, self.vocabulary, self.ngrams)
        embedding.load_state_dict({name: self.tensors[key].cpu() for name, key in names.items()})
        return embedding.table()

    @torch.no_grad()
    def put_into(self, network: RecurrentClassifier, vocabulary: Vocabulary) -> None:
        """Give the network all that it has a place for; tokens that are new to it keep the vectors that they have.

        A token's vector is its own row and the mean of its n-grams' rows. Where a token has more n-grams here than
        there, since new tokens share them, its own row makes up for what they add.

        Raises:
            ValueError: there are tensors that the network has not.
        """
        at, froms = torch.from_numpy(self.known(vocabulary)).unbind(1)
        embedding, words = network.embedding, network.embedding.words.weight
        words[UNKNOWN_ID] = self.tensors[WORDS][UNKNOWN_ID].to(words)
        words[at] = self.tensors[WORDS][froms].to(words)
        if embedding.ngrams is not None:
            rows, others = torch.from_numpy(_pairs(embedding.names, self.ngrams)).unbind(1)
            if len(rows):
                embedding.ngrams.weight[rows] = self.tensors[NGRAMS][others].to(words)
            words[at] += self.vectors()[froms].to(words) - embedding.table()[at]
        rest = {name: tensor for name, tensor in self.tensors.items() if name not in (WORDS, NGRAMS)}
        if unknown := network.load_state_dict(rest, strict=False).unexpected_keys:
            raise ValueError(f"the network has no {unknown[0]}")


def _pairs(names: Iterable[str], others: Iterable[str]) -> npt.NDArray[np.int64]:
    """Return ``[common, 2]`` of the names that are among the others, too: their numbers here and there."""
    numbers = {name: number for number, name in enumerate(others)}
    found = [(number, numbers[name]) for number, name in enumerate(names) if name in numbers]
    return np.array(found, dtype=np.int64).reshape(-1, 2)

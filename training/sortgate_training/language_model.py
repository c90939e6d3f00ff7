"""Two language models, forward and backward, that share the classifier's token vectors and first recurrent layer.

What they learn from texts without labels is what a classifier can start from (Dai & Le 2015; Peters et al. 2017). Each
predicts the next token by a sampled softmax (Bengio & Senécal 2008): a step costs the same whatever the vocabulary's
size is.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from sortgate.vocabulary import PADDING_ID
from sortgate_training.batches import EncodedTexts, reading_order
from sortgate_training.model import RecurrentClassifier

IntArray = npt.NDArray[np.int64]

#: Tokens drawn a step, against which the right one must win.
NEGATIVES = 512
#: Flattens the frequencies that they are drawn by (Mikolov et al. 2013).
_POWER = 0.75
#: Rows of exact logits made at once.
_ROWS = 256


class LanguageModel(nn.Module):
    """Predicts each token from those before it and, with the backward direction, from those after it.

    Args:
        network: whose embedding and first layer are trained.
        counts: ``[vocabulary]`` occurrences of each id.
    """

    cumulated: torch.Tensor
    log_chances: torch.Tensor

    def __init__(self, network: RecurrentClassifier, counts: IntArray) -> None:
        super().__init__()
        self.network = network
        size, width = network.embedding.size, network.config.embedding
        self.heads = nn.ModuleList(nn.Linear(network.config.hidden, width) for _ in range(network.directions))
        self.words = nn.Embedding(size, width, sparse=True)
        nn.init.normal_(self.words.weight, std=0.1)
        self.bias = nn.Embedding(size, 1, sparse=True)
        frequencies = np.maximum(counts, 0.5) / max(counts.sum(), 1)
        with torch.no_grad():  # begins with the tokens' frequencies known
            self.bias.weight.copy_(torch.from_numpy(np.log(frequencies)).unsqueeze(1))
        chances = np.where(counts > 0, counts, 0.0) ** _POWER
        chances /= chances.sum()
        self.register_buffer("cumulated", torch.from_numpy(chances.cumsum()))
        self.register_buffer("log_chances", torch.from_numpy(np.log(np.maximum(chances, 1e-12))).float())

    def draw(self, random: torch.Generator | None = None) -> torch.Tensor:
        """Return the ids ``[negatives]`` against which the right ones must win."""
        drawn = torch.rand(NEGATIVES, generator=random, dtype=torch.float64)
        return torch.searchsorted(self.cumulated, drawn, right=True).clamp_max(len(self.cumulated) - 1)

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor, random: torch.Generator | None = None) -> torch.Tensor:
        """Return the loss of each predicted token, of all directions; some text has two tokens at least."""
        negatives = self.draw(random)
        # each stands for as many as it is rare to draw, so that together they stand for all the others
        weights = self.log_chances[negatives] + math.log(NEGATIVES)
        words, shift = self.words(negatives), self.bias(negatives).squeeze(1) - weights
        losses = []
        for states, targets in self._states(ids, lengths):
            right = (states * self.words(targets)).sum(dim=1) + self.bias(targets).squeeze(1)
            wrong = states @ words.t() + shift
            wrong = wrong.masked_fill(negatives == targets.unsqueeze(1), -math.inf)
            losses.append(torch.logaddexp(right, wrong.logsumexp(dim=1)) - right)
        return torch.cat(losses)

    def _states(self, ids: torch.Tensor, lengths: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return, a direction, what tokens are predicted from, ``[tokens, width]``, and their ids ``[tokens]``."""
        ids = ids.t().contiguous()  # [time, batch]
        position = torch.arange(len(ids)).unsqueeze(1)
        mirrored = torch.where(position < lengths, lengths - 1 - position, position)
        found = []
        for direction, head in enumerate(self.heads):
            read = ids.gather(0, mirrored) if direction else ids
            states = self.network.rnns[direction](self.network.embedding(read[:-1]))[0]
            targets = read[1:]
            inside = targets != PADDING_ID
            found.append((head(states[inside]), targets[inside]))
        return found

    def perplexity(self, texts: EncodedTexts) -> float:
        """Return the exponent of the exact cross-entropy, a token's mean over all directions."""
        total, count = 0.0, 0
        with torch.inference_mode():
            for rows in reading_order(texts.lengths, batch_size=32, batch_tokens=8_192):
                batch = texts.batch(rows)
                for states, targets in self._states(batch.ids, batch.lengths):
                    for start in range(0, len(targets), _ROWS):
                        logits = states[start : start + _ROWS] @ self.words.weight.t() + self.bias.weight.squeeze(1)
                        wanted = targets[start : start + _ROWS]
                        total += float(nn.functional.cross_entropy(logits, wanted, reduction="sum"))
                    count += len(targets)
        return math.exp(min(total / max(count, 1), 700.0))

"""Steps of embeddings that cost what the rows of a batch cost, however large the vocabulary is.

A batch touches few rows; dense, the optimiser, the gradient and its norm would cost with every row there is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from sortgate_training.config import OptimizerConfig

#: Of Adam's running mean of squared gradients, and what keeps its root from 0 (Kingma & Ba 2015).
_BETA, _EPSILON = 0.999, 1e-8


@dataclass(frozen=True)
class RowGradient:
    """The gradient of the rows ``[touched]`` of an embedding, ``values [touched, width]``; others have none."""

    weight: nn.Parameter
    rows: torch.Tensor
    values: torch.Tensor


def row_weights(module: nn.Module) -> list[nn.Parameter]:
    """Return the weights of ``module`` whose gradients are sparse."""
    parts = (part for part in module.modules() if isinstance(part, nn.Embedding | nn.EmbeddingBag) and part.sparse)
    return [part.get_parameter("weight") for part in parts]


def collect(weights: Iterable[nn.Parameter]) -> list[RowGradient]:
    """Return the gradients of ``weights``, one row for each that was touched."""
    found = []
    for weight in weights:
        if weight.grad is not None:
            summed = weight.grad.coalesce()
            found.append(RowGradient(weight, summed.indices()[0], summed.values()))
    return found


class RowOptimizer:
    """Adam(W) or SGD for rows, each step of which moves only the rows that have a gradient.

    Momentum would move a row for a while after its gradient. Here a gradient moves it at once, as far as momentum would
    in the end: SGD by ``1 / (1 - momentum)``, and Adam as without its first moment. The second moment and the decay of
    weights between two touches of a row are made up for when it is touched next.
    """

    def __init__(self, config: OptimizerConfig, weights: list[nn.Parameter]) -> None:
        self._config = config
        self._weights = weights
        self._step = 0
        self._decayed = 0.0  # sum of the logarithms of each step's decay
        adam = config.name != "sgd"
        self._squares = [
            torch.zeros_like(weight, requires_grad=False) if adam else weight.new_empty(0) for weight in weights
        ]
        self._touched = [torch.zeros(len(weight), dtype=torch.int64, device=weight.device) for weight in weights]
        self._shrunk = [torch.zeros(len(weight), dtype=torch.float64, device=weight.device) for weight in weights]

    @torch.no_grad()
    def step(self, gradients: Iterable[RowGradient], rate: float) -> None:
        """Move the rows.

        Args:
            gradients: from :func:`collect`.
            rate: the learning rate of this step.
        """
        config = self._config
        self._step += 1
        if config.name == "adamw":
            self._decayed += math.log(max(1.0 - rate * config.weight_decay, 1e-9))
        for gradient in gradients:
            at = next(index for index, weight in enumerate(self._weights) if weight is gradient.weight)
            rows, values = gradient.rows, gradient.values
            old = gradient.weight.index_select(0, rows)
            if config.name != "adamw":
                values = values.add(old, alpha=config.weight_decay)
            elif config.weight_decay:
                old.mul_(torch.exp(self._decayed - self._shrunk[at][rows]).to(old.dtype).unsqueeze(1))
                self._shrunk[at][rows] = self._decayed
            if config.name == "sgd":
                moved = values * (rate / (1.0 - config.momentum))
            else:
                moved = self._adam(at, rows, values).mul_(rate)
            gradient.weight.index_copy_(0, rows, old.sub_(moved))

    def _adam(self, at: int, rows: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """Return the step of these rows at a rate of 1."""
        since = self._step - self._touched[at][rows]
        kept = torch.pow(_BETA, since.to(torch.float64)).to(values.dtype).unsqueeze(1)
        squares = self._squares[at].index_select(0, rows).mul_(kept).addcmul_(values, values, value=1.0 - _BETA)
        self._squares[at].index_copy_(0, rows, squares)
        self._touched[at][rows] = self._step
        root = squares.div_(1.0 - _BETA**self._step).sqrt_().add_(_EPSILON)
        return values / root

    def state(self) -> dict[str, torch.Tensor]:
        """Return what a checkpoint needs, by name."""
        tensors = {"counters": torch.tensor([float(self._step), self._decayed], dtype=torch.float64)}
        for at in range(len(self._weights)):
            tensors |= {f"squares.{at}": self._squares[at], f"touched.{at}": self._touched[at]}
            tensors[f"shrunk.{at}"] = self._shrunk[at]
        return tensors

    def restore(self, tensors: dict[str, torch.Tensor]) -> None:
        """Go on from :meth:`state`."""
        self._step, self._decayed = int(tensors["counters"][0]), float(tensors["counters"][1])
        for at in range(len(self._weights)):
            self._squares[at].copy_(tensors[f"squares.{at}"])
            self._touched[at].copy_(tensors[f"touched.{at}"])
            self._shrunk[at].copy_(tensors[f"shrunk.{at}"])

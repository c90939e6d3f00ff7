"""A running average of a module's weights (Polyak & Juditsky 1992), to judge and keep in place of the last step's."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from sortgate_training.rows import RowGradient, row_weights


class WeightAverage:
    """Follows the weights of ``module``; of the average, each step keeps the share ``decay``, fewer at the start.

    A row of an embedding with sparse gradients rests from one touch to the next, so what its average missed meanwhile
    has a closed form: the distance between both shrinks by the product of those steps' shares.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        weights: list[nn.Parameter] = list(module.parameters())
        rows = {id(weight) for weight in row_weights(module)}
        self._dense: list[torch.Tensor] = [weight for weight in weights if id(weight) not in rows]
        self._sparse = [weight for weight in weights if id(weight) in rows]
        self._weights: list[torch.Tensor] = [*self._dense, *self._sparse]
        self._average = [weight.detach().clone() for weight in self._weights] if decay else []
        self._decay = decay
        self._steps = 0
        self._kept = 0.0  # sum of the logarithms of all steps' shares so far, and for each row up to its last touch
        self._kept_by_row = [
            torch.zeros(len(weight), dtype=torch.float64, device=weight.device) for weight in self._sparse
        ]

    @torch.no_grad()
    def before(self, gradients: Iterable[RowGradient]) -> None:
        """Take in all steps so far of the rows that the next one moves; to be called before it."""
        if not self._decay:
            return
        for gradient in gradients:
            at = next(index for index, weight in enumerate(self._sparse) if weight is gradient.weight)
            average, rows = self._average[len(self._dense) + at], gradient.rows
            kept = torch.exp(self._kept - self._kept_by_row[at][rows]).to(average.dtype).unsqueeze(1)
            average.index_copy_(
                0, rows, torch.lerp(gradient.weight.index_select(0, rows), average.index_select(0, rows), kept)
            )
            self._kept_by_row[at][rows] = self._kept

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights of one more step."""
        if not self._decay:
            return
        self._steps += 1
        # early weights are bad: the average spans about a tenth of the steps so far until that reaches its full span
        decay = min(self._decay, (1 + self._steps) / (10 + self._steps))
        self._kept += math.log(decay)
        if self._dense:
            torch._foreach_lerp_(self._average[: len(self._dense)], self._dense, 1.0 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the average into the module for a while."""
        if not self._decay:
            yield
            return
        self._catch_up()
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _catch_up(self) -> None:
        for at, weight in enumerate(self._sparse):
            kept = torch.exp(self._kept - self._kept_by_row[at]).to(weight.dtype).unsqueeze(1)
            average = self._average[len(self._dense) + at]
            # weight + (average - weight) · kept, without a copy of the table
            average.sub_(weight).mul_(kept).add_(weight)
            self._kept_by_row[at].fill_(self._kept)

    @torch.no_grad()
    def _swap(self) -> None:
        """Exchange weights and average; the module's tensors are replaced, so no copy is made."""
        for weight, average in zip(self._weights, self._average, strict=True):
            weight.data, average.data = average.data, weight.data

    def state(self) -> dict[str, torch.Tensor]:
        """Return what a checkpoint needs, by name."""
        tensors = {"counters": torch.tensor([float(self._steps), self._kept], dtype=torch.float64)}
        tensors |= {f"average.{at}": average for at, average in enumerate(self._average)}
        tensors |= {f"kept.{at}": kept for at, kept in enumerate(self._kept_by_row)}
        return tensors

    @torch.no_grad()
    def restore(self, tensors: dict[str, torch.Tensor]) -> None:
        """Go on from :meth:`state`."""
        self._steps, self._kept = int(tensors["counters"][0]), float(tensors["counters"][1])
        for at, average in enumerate(self._average):
            average.copy_(tensors[f"average.{at}"])
        for at, kept in enumerate(self._kept_by_row):
            kept.copy_(tensors[f"kept.{at}"])

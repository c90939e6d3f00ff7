"""A running average of a module's weights (Polyak & Juditsky 1992), to judge and keep in place of the last step's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


class WeightAverage:
    """Follows the weights of ``module``; of the average, each step keeps the share ``decay``, fewer at the start."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._weights: list[torch.Tensor] = list(module.parameters())
        self._average = [weight.detach().clone() for weight in self._weights]
        self._decay = decay
        self._steps = 0

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights of one more step."""
        if not self._decay:
            return
        self._steps += 1
        # early weights are bad: the average spans about a tenth of the steps so far until that reaches its full span
        decay = min(self._decay, (1 + self._steps) / (10 + self._steps))
        torch._foreach_lerp_(self._average, self._weights, 1.0 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the average into the module for a while."""
        if not self._decay:
            yield
            return
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for weight, average in zip(self._weights, self._average, strict=True):
            kept = weight.clone()
            weight.copy_(average)
            average.copy_(kept)

"""One step of training: forward, backward, clip, move, average."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from sortgate.errors import TrainingError
from sortgate_training.averaging import WeightAverage
from sortgate_training.batches import Batch
from sortgate_training.objective import Loss, Optimizer
from sortgate_training.parallel import SIDES, SideBySide

CPU = torch.device("cpu")
#: A part's loss, and the gradients of the weights.
Part = tuple[float, tuple[torch.Tensor | None, ...]]


class Step:
    """Learns from one batch; on the CPU its texts are divided among threads side by side.

    Args:
        module: called with ids, lengths and a generator for its dropout; returns logits.
        loss_of: a text's mean loss.
        optimizer: moves the weights.
        factor: of the learning rate, by step.
        average: follows the weights.
        sides: the threads.
        seed: of dropout; with it, a step's number and a part's number make each mask.
        device: where the module is.
    """

    def __init__(
        self,
        module: nn.Module,
        loss_of: Loss,
        optimizer: Optimizer,
        factor: Callable[[int], float],
        average: WeightAverage,
        *,
        sides: SideBySide,
        seed: int = 0,
        device: torch.device | None = None,
    ) -> None:
        self.module = module
        self.loss_of = loss_of
        self.optimizer = optimizer
        self.factor = factor
        self.average = average
        self.seed = seed
        self.sides = sides
        self.device = device or CPU
        # bfloat16 has float32's range, so gradients need no scaling; older cards, which lack it, train in float32
        self.mixed = self.device.type == "cuda" and torch.cuda.is_bf16_supported()
        self.done = 0
        self._weights = [weight for weight in module.parameters() if weight.requires_grad]
        self._random = [torch.Generator(self.device) for _ in range(SIDES if self.device == CPU else 1)]

    def __call__(self, batch: Batch, epoch: int) -> float:
        """Return the loss, a text's mean."""
        parts = batch.parts(len(self._random))
        found = self.sides.map(self._learn, range(len(parts)), parts, [len(part) / len(batch) for part in parts])
        value = sum(loss for loss, _ in found)
        if not math.isfinite(value):
            raise TrainingError(
                f"the loss became {value} in epoch {epoch}: the steps are too large; lower optimizer.learning_rate "
                f"(now {self.optimizer.rate:g}) or set optimizer.gradient_clip=1"
            )
        self._add_up([gradients for _, gradients in found])
        gradients = self.optimizer.gradients()
        self.average.before(gradients)
        self.optimizer.step(gradients, self.factor(self.done))
        self.average.update()
        self.done += 1
        return value

    def _learn(self, number: int, batch: Batch, share: float) -> Part:
        """Return a part's loss and gradients, by its share of the batch."""
        random = self._random[number]
        # made anew from the step's number, so there is no state that a checkpoint would have to keep
        random.manual_seed(
            int(np.random.SeedSequence((self.seed, self.done, number)).generate_state(1, np.uint64)[0] >> 1)
        )
        batch = batch.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed):
            logits = self.module(batch.ids, batch.lengths, random)
        loss = self.loss_of(logits.float(), batch.targets) * share
        return float(loss.detach()), torch.autograd.grad(loss, self._weights, allow_unused=True)

    def _add_up(self, parts: Sequence[tuple[torch.Tensor | None, ...]]) -> None:
        """Put the sums of the parts' gradients into the weights."""
        for weight, *gradients in zip(self._weights, *parts, strict=True):
            given = [gradient for gradient in gradients if gradient is not None]
            weight.grad = sum(given[1:], start=given[0]) if given else None

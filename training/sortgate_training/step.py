"""One step of training: forward, backward, clip, move, average."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn

from sortgate.errors import TrainingError
from sortgate_training.averaging import WeightAverage
from sortgate_training.batches import Batch
from sortgate_training.objective import Loss, Optimizer

CPU = torch.device("cpu")


class Step:
    """Learns from one batch."""

    def __init__(
        self,
        module: nn.Module,
        loss_of: Loss,
        optimizer: Optimizer,
        factor: Callable[[int], float],
        average: WeightAverage,
        device: torch.device | None = None,
    ) -> None:
        self.module = module
        self.loss_of = loss_of
        self.optimizer = optimizer
        self.factor = factor
        self.average = average
        self.device = device or CPU
        # bfloat16 has float32's range, so gradients need no scaling; older cards, which lack it, train in float32
        self.mixed = self.device.type == "cuda" and torch.cuda.is_bf16_supported()
        self.done = 0

    def __call__(self, batch: Batch, epoch: int) -> float:
        """Return the loss, a text's mean."""
        self.optimizer.zero_grad()
        batch = batch.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed):
            logits = self.module(batch.ids, batch.lengths)
        loss = self.loss_of(logits.float(), batch.targets)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingError(
                f"the loss became {value} in epoch {epoch}: the steps are too large; lower optimizer.learning_rate "
                f"(now {self.optimizer.rate:g}) or set optimizer.gradient_clip=1"
            )
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        gradients = self.optimizer.gradients()
        self.average.before(gradients)
        self.optimizer.step(gradients, self.factor(self.done))
        self.average.update()
        self.done += 1
        return value

"""Finds a learning rate: a short run whose rate grows with every step shows where the loss falls (Smith 2017)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import nn

from sortgate.errors import TrainingError
from sortgate_training.averaging import WeightAverage
from sortgate_training.batches import Batch
from sortgate_training.config import TrainingConfig
from sortgate_training.loop import Batches
from sortgate_training.objective import Loss, Optimizer
from sortgate_training.parallel import SideBySide
from sortgate_training.step import Step

#: First and last rate, how many there are, and the steps of each at least.
LOWEST, HIGHEST, RATES, STEPS = 1e-5, 1.0, 26, 8
#: The run ends where the loss is so many times its least.
_DIVERGED = 2.0


class Point(NamedTuple):
    """A learning rate, and the mean loss of the steps taken with it."""

    rate: float
    loss: float


def find_rate(
    module: nn.Module, batches: Batches, loss_of: Loss, config: TrainingConfig, device: torch.device
) -> list[Point]:
    """Return the curve; ``module`` is of no use afterwards.

    Raises:
        TrainingError: the loss is no number from the start.
    """
    optimizer = Optimizer(config.optimizer, module)
    rates = [LOWEST * (HIGHEST / LOWEST) ** (number / (RATES - 1)) for number in range(RATES)]
    current = rates[0]
    average = WeightAverage(module, 0.0)
    module.train()
    endless = _endless(batches)
    curve: list[Point] = []
    with SideBySide() as sides:
        step = Step(
            module, loss_of, optimizer, lambda _: current / config.optimizer.learning_rate, average,
            sides=sides, seed=config.seed, device=device, adversarial=config.loss.adversarial,
        )  # fmt: skip
        for current in rates:
            try:
                losses = [step(next(endless), 1) for _ in range(STEPS)]
            except TrainingError:
                if not curve:
                    raise
                break
            curve.append(Point(current, sum(losses) / len(losses)))
            if curve[-1].loss > _DIVERGED * min(point.loss for point in curve):
                break
    return curve


def suggest(curve: list[Point]) -> float:
    """Return the rate to take: a tenth of that with the least loss, after which the loss rises."""
    least = min(curve, key=lambda point: point.loss)
    return float(f"{least.rate / 10:.1g}")


def _endless(batches: Batches) -> Iterator[Batch]:
    while True:
        yield from batches


def draw(curve: list[Point], width: int = 40) -> list[str]:
    """Return the curve as lines of text."""
    low, high = (bound(point.loss for point in curve) for bound in (min, max))
    scale = max(high - low, math.ulp(1.0))
    return [
        f"{point.rate:10.2e}  {point.loss:8.4f}  {'█' * (1 + round((point.loss - low) / scale * (width - 1)))}"
        for point in curve
    ]

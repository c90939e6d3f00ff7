"""The running average of weights: what it is, and that the module gets its own weights back."""

from __future__ import annotations

import contextlib

import pytest
import torch
from torch import nn

from sortgate_training.averaging import WeightAverage


def steps(module: nn.Linear, average: WeightAverage, values: list[float]) -> None:
    for value in values:
        with torch.no_grad():
            module.weight.fill_(value)
        average.update()


def test_the_average_spans_the_last_steps() -> None:
    module = nn.Linear(1, 1, bias=False)
    average = WeightAverage(module, 0.5)
    steps(module, average, [0.0] * 50 + [1.0, 1.0, 1.0])
    with average.applied():
        assert module.weight.item() == pytest.approx(1 - 0.5**3)
    assert module.weight.item() == 1.0


def test_the_start_is_soon_forgotten() -> None:
    module = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        module.weight.fill_(1000.0)
    average = WeightAverage(module, 0.999)
    steps(module, average, [1.0] * 100)
    with average.applied():
        assert module.weight.item() == pytest.approx(1.0, abs=0.01)


def test_own_weights_come_back_after_an_error() -> None:
    module = nn.Linear(1, 1, bias=False)
    average = WeightAverage(module, 0.9)
    steps(module, average, [1.0, 2.0])
    with contextlib.suppress(RuntimeError), average.applied():
        assert module.weight.item() != 2.0
        raise RuntimeError
    assert module.weight.item() == 2.0


def test_no_averaging() -> None:
    module = nn.Linear(1, 1, bias=False)
    average = WeightAverage(module, 0.0)
    steps(module, average, [1.0, 2.0])
    with average.applied():
        assert module.weight.item() == 2.0

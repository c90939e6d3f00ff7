"""Losses, optimisers and schedules as chosen by configuration."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import nn

from sortgate.errors import ConfigurationError
from sortgate_training.config import LossConfig, OptimizerConfig, ScheduleConfig
from sortgate_training.objective import create_loss, create_optimizer, create_schedule

LOGITS = torch.tensor([[2.0, 0.0], [0.5, 0.0], [0.0, 1.0]])
TARGETS = torch.tensor([0, 1, 1])


def loss(config: LossConfig) -> float:
    return float(create_loss(config, ["a", "b"], [30, 10])(LOGITS, TARGETS))


def test_cross_entropy_is_the_default() -> None:
    assert loss(LossConfig()) == pytest.approx(float(nn.functional.cross_entropy(LOGITS, TARGETS)))


def test_focal_loss_without_focus_is_cross_entropy_and_with_it_forgets_easy_texts() -> None:
    assert loss(LossConfig(name="focal", focal_gamma=0.0)) == pytest.approx(loss(LossConfig()))
    probability = LOGITS.softmax(dim=1)[torch.arange(3), TARGETS]
    expected = float((-((1 - probability) ** 2) * probability.log()).mean())  # Lin et al. 2017, eq. 4
    assert loss(LossConfig(name="focal")) == pytest.approx(expected, rel=1e-5)


def test_rare_labels_weigh_more() -> None:
    losses = nn.functional.cross_entropy(LOGITS, TARGETS, reduction="none")
    # of 30 and 10 training texts: one weighs 1 on average
    weights = torch.tensor([40 / 60, 40 / 20])
    assert loss(LossConfig(class_weights="balanced")) == pytest.approx(float((weights[TARGETS] * losses).mean()))
    weights = torch.tensor([1.0, 3.0]) * 40 / (30 * 1 + 10 * 3)
    assert loss(LossConfig(class_weights={"b": 3.0})) == pytest.approx(float((weights[TARGETS] * losses).mean()))
    with pytest.raises(ConfigurationError, match="'c', which is no label"):
        loss(LossConfig(class_weights={"c": 3.0}))


def test_label_smoothing() -> None:
    expected = float(nn.functional.cross_entropy(LOGITS, TARGETS, label_smoothing=0.2))
    assert loss(LossConfig(label_smoothing=0.2)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "kind"), [("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam), ("sgd", torch.optim.SGD)]
)
def test_optimisers_step_and_do_not_decay_biases(name: Literal["adamw", "adam", "sgd"], kind: type) -> None:
    module = nn.Linear(3, 2)
    optimizer = create_optimizer(OptimizerConfig(name=name, weight_decay=0.5), module.parameters())
    assert type(optimizer) is kind
    decays = {
        parameter.ndim: group["weight_decay"] for group in optimizer.param_groups for parameter in group["params"]
    }
    assert decays == {2: 0.5, 1: 0.0}
    before = module.weight.detach().clone()
    module(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    assert not torch.equal(module.weight, before)


@pytest.mark.parametrize(
    ("name", "middle", "end"), [("cosine", 0.5, 0.0), ("linear", 0.5, 0.0), ("constant", 1.0, 1.0)]
)
def test_schedules(name: Literal["cosine", "linear", "constant"], middle: float, end: float) -> None:
    factor = create_schedule(ScheduleConfig(name=name, warmup=0.1), 1000)
    assert factor(0) == pytest.approx(0.01)
    assert factor(49) == pytest.approx(0.5)
    assert factor(100) == pytest.approx(1.0)
    assert factor(550) == pytest.approx(middle)
    assert factor(1000) == pytest.approx(end)
    assert factor(1100) == pytest.approx(end)  # an epoch may have a few batches more than the first
    assert create_schedule(ScheduleConfig(name=name, warmup=0.0), 1000)(0) == pytest.approx(1.0)

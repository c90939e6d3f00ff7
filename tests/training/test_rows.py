"""Row-wise steps: only touched rows move or cost, and as far as a dense optimiser with momentum would move them."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import nn

from sortgate_training.averaging import WeightAverage
from sortgate_training.config import OptimizerConfig
from sortgate_training.objective import Optimizer, clip
from sortgate_training.rows import RowOptimizer, collect, row_weights

Name = Literal["adamw", "adam", "sgd"]


def learn(module: nn.Embedding, optimizer: Optimizer, ids: list[int], scale: float = 1.0) -> None:
    module.weight.grad = None
    (scale * module(torch.tensor(ids))).sum().backward()
    optimizer.step(optimizer.gradients(), 1.0)


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_only_rows_of_the_batch_move(name: Name) -> None:
    module = nn.Embedding(6, 3, sparse=True)
    before = module.weight.detach().clone()
    learn(module, Optimizer(OptimizerConfig(name=name), module), [1, 4, 4])
    moved = (module.weight.detach() != before).any(dim=1)
    assert moved.tolist() == [False, True, False, False, True, False]


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_one_gradient_moves_a_row_as_far_as_momentum_would_in_the_end(name: Name) -> None:
    torch.manual_seed(0)
    config = OptimizerConfig(name=name, weight_decay=0.0, gradient_clip=0.0, learning_rate=1e-3)
    module, dense = nn.Embedding(2, 3, sparse=True), nn.Embedding(2, 3)
    with torch.no_grad():
        module.weight.zero_()
        dense.weight.zero_()
    ours, theirs = Optimizer(config, module), Optimizer(config, dense)
    for ids in [[0]] * 1500 + [[1], *([[0]] * 150)]:
        learn(module, ours, ids)
        learn(dense, theirs, ids)
    assert float(dense.weight[1, 0].detach()) < -5e-3
    assert torch.allclose(module.weight, dense.weight, rtol=0.05)


def test_decay_between_two_touches_is_made_up_for() -> None:
    config = OptimizerConfig(name="adamw", weight_decay=0.5, learning_rate=0.1, gradient_clip=0.0)
    module = nn.Embedding(2, 1, sparse=True)
    with torch.no_grad():
        module.weight.fill_(1.0)
    optimizer = Optimizer(config, module)
    for ids in ([0], [0], [0], [1]):
        learn(module, optimizer, ids, scale=0.0)
    assert module.weight[1].item() == pytest.approx(0.95**4)


def test_the_state_goes_on_where_it_was() -> None:
    module = nn.Embedding(5, 2, sparse=True)
    optimizer = Optimizer(OptimizerConfig(), module)
    learn(module, optimizer, [1, 2])
    saved = {name: tensor.clone() for name, tensor in optimizer.state().items()}
    other = nn.Embedding(5, 2, sparse=True)
    other.load_state_dict(module.state_dict())
    again = Optimizer(OptimizerConfig(), other)
    again.restore(saved)
    for each, stepped in ((module, optimizer), (other, again)):
        learn(each, stepped, [2, 3], scale=0.3)
    assert torch.equal(module.weight, other.weight)


def test_the_average_of_resting_rows_is_that_of_dense_ones() -> None:
    torch.manual_seed(0)
    module, dense = nn.Embedding(4, 2, sparse=True), nn.Embedding(4, 2)
    dense.load_state_dict(module.state_dict())
    averages = WeightAverage(module, 0.9), WeightAverage(dense, 0.9)
    optimizer = RowOptimizer(OptimizerConfig(), row_weights(module))
    for ids in [[0, 1], [2], [1], [1], [0], [2, 2], [1]] * 3:
        module.weight.grad = None
        module(torch.tensor(ids)).square().sum().backward()
        gradients = collect(row_weights(module))
        averages[0].before(gradients)
        optimizer.step(gradients, 0.1)
        dense.load_state_dict(module.state_dict())
        for average in averages:
            average.update()
    with averages[0].applied(), averages[1].applied():
        assert torch.allclose(module.weight, dense.weight, atol=1e-6)


def test_the_norm_of_all_gradients_together_is_bounded() -> None:
    gradients = [torch.tensor([3.0]), torch.tensor([[0.0, 4.0]])]
    assert clip(gradients, 1.0).item() == pytest.approx(5.0)
    assert gradients[0].item() == pytest.approx(0.6, abs=1e-5)
    assert clip(gradients, 10.0).item() == pytest.approx(1.0, abs=1e-5)
    assert gradients[1][0, 1].item() == pytest.approx(0.8, abs=1e-5)

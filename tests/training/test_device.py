"""Without a GPU at hand: every tensor that the network or a step makes must lie where its input lies.

PyTorch's ``meta`` device computes shapes and refuses, like CUDA, to mix with tensors of another device.
"""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import nn

from sortgate_training.averaging import WeightAverage
from sortgate_training.batches import EncodedTexts
from sortgate_training.config import LossConfig, ModelConfig, OptimizerConfig
from sortgate_training.model import RecurrentClassifier
from sortgate_training.objective import create_loss

META = torch.device("meta")


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("layers", [1, 2])
def test_the_network_follows_its_input(cell: Literal["lstm", "gru"], layers: int) -> None:
    module = RecurrentClassifier(ModelConfig(cell=cell, hidden=8, embedding=16, layers=layers), 20, 3).to(META)
    batch = EncodedTexts([[2, 3, 4], [5]], [0, 1]).batch([0, 1]).to(META)
    logits = module.train()(batch.ids, batch.lengths)
    assert logits.device == META
    assert logits.shape == (2, 3)
    loss = create_loss(LossConfig(class_weights="balanced"), ["a", "b", "c"], [1, 2, 3], META)
    assert loss(logits, batch.targets).device == META


def test_the_check_would_notice_a_tensor_elsewhere() -> None:
    module = RecurrentClassifier(ModelConfig(hidden=8, embedding=16), 20, 3).to(META)
    with pytest.raises(RuntimeError, match="device"):
        module.train()(torch.ones(2, 3, dtype=torch.long, device=META), torch.tensor([3, 3]))


def test_states_of_steps_lie_with_their_weights() -> None:
    module = nn.Embedding(5, 2, sparse=True, device=META)
    tensors = WeightAverage(module, 0.9).state()
    from sortgate_training.rows import RowOptimizer, row_weights

    tensors |= RowOptimizer(OptimizerConfig(), row_weights(module)).state()
    assert {tensor.device for name, tensor in tensors.items() if name != "counters"} == {META}

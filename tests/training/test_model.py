"""The network: neither padding nor neighbours change a text's logits, and it starts as the literature says."""

from __future__ import annotations

from typing import Literal

import pytest
import torch

from sortgate_training.config import ModelConfig
from sortgate_training.model import RecurrentClassifier

CONFIG = ModelConfig(hidden=8, embedding=6, layers=2)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_padding_and_neighbours_do_not_matter(cell: Literal["lstm", "gru"]) -> None:
    torch.manual_seed(0)
    module = RecurrentClassifier(ModelConfig(cell=cell, hidden=8, embedding=6, layers=2), 20, 3).eval()
    ids = torch.randint(2, 20, (4, 9))
    lengths = torch.tensor([9, 1, 4, 6])
    for row, length in enumerate(lengths.tolist()):
        ids[row, length:] = 0
    together = module(ids, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone = module(ids[row : row + 1, :length], lengths[row : row + 1])
        torch.testing.assert_close(alone[0], together[row], atol=1e-6, rtol=0)


def test_both_directions_agree_with_pytorchs_own() -> None:
    torch.manual_seed(0)
    config = ModelConfig(hidden=5, embedding=6)
    module = RecurrentClassifier(config, 20, 2).eval()
    reference = torch.nn.LSTM(6, 5, bidirectional=True)
    with torch.no_grad():
        for suffix, rnn in (("", module.rnns[0]), ("_reverse", module.rnns[1])):
            for name, value in rnn.named_parameters():
                getattr(reference, name + suffix).copy_(value)
    ids = torch.randint(2, 20, (1, 7))
    outputs = reference(module.embedding(ids.t()))[0]
    features = torch.cat([outputs.amax(dim=0), outputs.mean(dim=0)], dim=1)
    torch.testing.assert_close(module(ids, torch.tensor([7])), module.output(features), atol=1e-6, rtol=0)


def test_it_starts_orthogonal_with_open_forget_gates() -> None:
    module = RecurrentClassifier(CONFIG, 20, 3)
    for rnn in module.rnns:
        for gate in rnn.weight_hh_l0.split(8):
            torch.testing.assert_close(gate @ gate.T, torch.eye(8), atol=1e-5, rtol=0)
        forget = (rnn.bias_ih_l0 + rnn.bias_hh_l0)[8:16]
        assert forget.tolist() == [1.0] * 8
        assert sum(rnn.bias_ih_l0.tolist() + rnn.bias_hh_l0.tolist()) == 8.0
    assert module.embedding.table()[0].tolist() == [0.0] * 6


def test_dropout_is_for_training_only() -> None:
    torch.manual_seed(0)
    module = RecurrentClassifier(CONFIG, 20, 3)
    ids, lengths = torch.randint(2, 20, (3, 5)), torch.tensor([5, 5, 5])
    assert not torch.equal(module.train()(ids, lengths), module(ids, lengths))
    assert torch.equal(module.eval()(ids, lengths), module(ids, lengths))


def test_gradients_reach_the_first_token_of_a_long_text() -> None:
    torch.manual_seed(0)
    module = RecurrentClassifier(ModelConfig(hidden=16, embedding=8, bidirectional=False), 300, 2).eval()
    ids = torch.arange(2, 202).unsqueeze(0)
    module(ids, torch.tensor([200])).sum().backward()
    assert module.embedding.words.weight.grad is not None
    norms = module.embedding.words.weight.grad.to_dense()[2:202].norm(dim=1)
    assert float(norms[0]) > 1e-3 * float(norms.max())

"""The exported graph gives PyTorch's logits, for every shape of network, and is checked before it is written."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sortgate.encoded import Encoded
from sortgate.errors import TrainingError
from sortgate.inference.session import Session
from sortgate_training.batches import EncodedTexts
from sortgate_training.config import ModelConfig
from sortgate_training.export import MAX_DIFFERENCE, check_parity, export_graph
from sortgate_training.graph import random_tables
from sortgate_training.logits import onnx_logits, torch_logits
from sortgate_training.model import HybridClassifier, NgramPath, RecurrentClassifier

VOCABULARY = 30


def texts_of(lengths: list[int], seed: int = 0) -> list[Encoded]:
    generator = np.random.default_rng(seed)
    return [Encoded.of(generator.integers(1, VOCABULARY, length).tolist()) for length in lengths]


def module_of(config: ModelConfig, labels: int = 3, seed: int = 0, *, ngrams: bool = False) -> HybridClassifier:
    torch.manual_seed(seed)
    module = RecurrentClassifier(config, VOCABULARY, labels)
    with torch.no_grad():
        for parameter in module.parameters():  # zero biases would hide a wrong order
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return HybridClassifier(module, NgramPath(random_tables(VOCABULARY, labels, 60, seed)) if ngrams else None).eval()


@settings(max_examples=40, deadline=None)
@given(
    cell=st.sampled_from(["lstm", "gru"]),
    layers=st.integers(1, 2),
    bidirectional=st.booleans(),
    hidden=st.integers(1, 9),
    embedding=st.integers(1, 9),
    lengths=st.lists(st.integers(1, 25), min_size=1, max_size=9),
    labels=st.integers(2, 5),
    ngrams=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_onnx_gives_the_logits_of_pytorch(
    cell: Literal["lstm", "gru"], layers: int, bidirectional: bool, hidden: int, embedding: int,
    lengths: list[int], labels: int, ngrams: bool, seed: int,
) -> None:  # fmt: skip
    config = ModelConfig(cell=cell, layers=layers, bidirectional=bidirectional, hidden=hidden, embedding=embedding)
    module = module_of(config, labels, seed, ngrams=ngrams)
    texts = texts_of(lengths, seed)
    session = Session(export_graph(module).SerializeToString())
    expected = torch_logits(module, EncodedTexts([text.ids for text in texts], [0] * len(texts)))
    order = np.arange(len(texts))
    for rows in (1, len(texts)):
        found = onnx_logits(session, texts, rows=rows, order=order)
        assert np.abs(found - expected).max() <= MAX_DIFFERENCE


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_parity_is_measured_on_short_and_longest_texts(cell: Literal["lstm", "gru"]) -> None:
    module = module_of(ModelConfig(cell=cell, hidden=8, embedding=8, layers=2))
    model = export_graph(module).SerializeToString()
    for longest in (100, 10**9):  # the second cuts nothing: no such text is made
        assert 0 < check_parity(module, model, texts_of([3, 40, 7]), longest=longest) <= MAX_DIFFERENCE


@pytest.mark.parametrize("name", ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_graph_of_other_weights_is_refused(cell: Literal["lstm", "gru"], name: str) -> None:
    module = module_of(ModelConfig(cell=cell, hidden=4, embedding=4))
    model = export_graph(module).SerializeToString()
    with torch.no_grad():
        getattr(module.recurrent.rnns[1], name)[0] += 0.05
    with pytest.raises(TrainingError, match="differs from PyTorch"):
        check_parity(module, model, texts_of([3, 5, 9]), longest=20)


def test_sure_logits_may_differ_by_their_rounding() -> None:
    config = ModelConfig(hidden=4, embedding=4)
    module = module_of(config, ngrams=True)
    assert module.ngrams is not None
    # as on data without noise: a long text adds up to logits of hundreds
    module.ngrams = NgramPath(module.ngrams.tables.scaled(2_000.0))
    model = export_graph(module).SerializeToString()
    texts = texts_of([200, 40, 7])
    worst = check_parity(module, model, texts, longest=400)
    with torch.no_grad():
        module.recurrent.output.bias += 0.02 + 2 * worst
    with pytest.raises(TrainingError, match="differs from PyTorch"):
        check_parity(module, model, texts, longest=400)

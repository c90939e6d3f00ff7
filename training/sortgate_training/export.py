"""From the trained module to the ONNX graph, with proof that both give the same logits."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx
import torch

from sortgate.errors import TrainingError
from sortgate.inference.session import Session
from sortgate.textpath import Encoded
from sortgate_training.batches import EncodedTexts
from sortgate_training.graph import GraphSpec, build_graph
from sortgate_training.logits import onnx_logits, torch_logits
from sortgate_training.model import HybridClassifier, RecurrentClassifier

#: Largest difference of a logit between PyTorch and ONNX Runtime, both float32.
MAX_DIFFERENCE = 1e-4

#: PyTorch's gates in the order ONNX has them: LSTM input, forget, cell, output → input, output, forget, cell;
#: GRU reset, update, new → update, reset, hidden.
_GATE_ORDER = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2)}

FloatArray = npt.NDArray[np.float32]


def export_graph(module: HybridClassifier) -> onnx.ModelProto:
    """Return the float32 model."""
    config = module.recurrent.config
    spec = GraphSpec(config.cell, config.hidden, config.layers, config.bidirectional)
    tables = None if module.ngrams is None else module.ngrams.tables
    return build_graph(collect_weights(module.recurrent), spec, tables)


def collect_weights(module: RecurrentClassifier) -> dict[str, FloatArray]:
    """Return the weights as :func:`sortgate_training.graph.build_graph` takes them."""
    weights = {"embedding": _array(module.embedding.table())}
    for layer in range(module.config.layers):
        rnns = module.rnns[layer * module.directions : (layer + 1) * module.directions]
        parts: dict[str, list[FloatArray]] = {"w": [], "r": [], "b": []}
        for rnn in rnns:
            named = {name: _reorder(_array(value), module.config.cell) for name, value in rnn.named_parameters()}
            parts["w"].append(named["weight_ih_l0"])
            parts["r"].append(named["weight_hh_l0"])
            parts["b"].append(np.concatenate([named["bias_ih_l0"], named["bias_hh_l0"]]))
        for name, arrays in parts.items():
            weights[f"rnn.{layer}.{name}"] = np.stack(arrays)
    weights["output.weight"] = _array(module.output.weight)
    weights["output.bias"] = _array(module.output.bias)
    return weights


def check_parity(module: HybridClassifier, model: bytes, texts: Sequence[Encoded], longest: int) -> float:
    """Return the largest logit difference between PyTorch and ONNX Runtime.

    Compared on real texts of mixed lengths, and on texts of length 1 and of the greatest length, in batches and alone.

    Args:
        module: the trained module.
        model: its float32 model.
        texts: held-out texts.
        longest: greatest length that the bundle allows.

    Raises:
        TrainingError: it is above :data:`MAX_DIFFERENCE`.
    """
    generator = np.random.default_rng(0)
    size = module.recurrent.embedding.size
    edges = [Encoded(generator.integers(1, size, length).tolist()) for length in (1, 1, 2, 3, longest)]
    session = Session(model)
    worst = 0.0
    for compared, rows in (([*edges, *texts], 32), ([*edges, *texts[:200]], 1)):
        encoded = EncodedTexts([text.ids for text in compared], [0] * len(compared))
        expected = torch_logits(module, encoded)
        # in no order of length, so that a short text has a long neighbour and much padding
        order = np.random.default_rng(1).permutation(len(compared))
        found = onnx_logits(session, compared, rows=rows, order=order)
        differences = np.abs(expected - found).max(axis=1)
        worst = max(worst, float(differences[len(edges) :].max(initial=0.0)))
        # Hundreds of random tokens, unlike any text, can amplify float32's own rounding beyond the bound in PyTorch
        # too; for them, and only for them, twice what PyTorch itself loses against float64 is allowed on top.
        exact = torch_logits(copy.deepcopy(module).double(), encoded)
        rounding = np.abs(expected - exact).max(axis=1)[: len(edges)]
        excess = float((differences[: len(edges)] - 2.0 * rounding).max())
        if not max(worst, excess) <= MAX_DIFFERENCE:
            raise TrainingError(
                f"the exported model differs from PyTorch by {max(worst, excess):.2g} in a logit, at most "
                f"{MAX_DIFFERENCE:g} may be: not exported"
            )
    return worst


def _array(parameter: torch.Tensor) -> FloatArray:
    return parameter.detach().numpy().astype(np.float32)


def _reorder(weight: FloatArray, cell: str) -> FloatArray:
    order = _GATE_ORDER[cell]
    gates = np.split(weight, len(order))
    return np.concatenate([gates[gate] for gate in order])

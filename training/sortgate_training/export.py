"""From the trained module to the ONNX graph, with proof that both give the same logits."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, cycle, islice

import numpy as np
import numpy.typing as npt
import onnx
import torch

from sortgate.encoded import Encoded
from sortgate.errors import TrainingError
from sortgate.inference.session import Session
from sortgate_training.batches import EncodedTexts
from sortgate_training.graph import GraphSpec, build_graph
from sortgate_training.logits import onnx_logits, torch_logits
from sortgate_training.model import HybridClassifier, RecurrentClassifier

#: Largest difference of a logit between PyTorch and ONNX Runtime, both float32.
MAX_DIFFERENCE = 1e-4
#: What may be added to that: this share of a text's largest logit, in float32 some eighty units in the last place.
MAX_SHARE = 1e-5

#: PyTorch's gates in the order ONNX has them: LSTM input, forget, cell, output → input, output, forget, cell;
#: GRU reset, update, new → update, reset, hidden.
_GATE_ORDER = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2)}

FloatArray = npt.NDArray[np.float32]

#: Tokens of the longest text that the exported model is compared on, unless there are longer ones.
LONGEST = 2_000


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

    Compared on real texts of mixed lengths, on texts of length 1 to 3, and on one of the greatest length, in batches
    and alone; no longer than :data:`LONGEST` though, or than the longest of the texts, so that a limit which cuts
    nothing costs nothing. The long one is real texts joined: hundreds of tokens in an order that no text resembles can
    amplify float32's rounding a thousandfold, in PyTorch as in ONNX Runtime (decision 4).

    Args:
        module: the trained module.
        model: its float32 model.
        texts: held-out texts.
        longest: greatest length that the bundle allows.

    Raises:
        TrainingError: a text's is above :data:`MAX_DIFFERENCE` and :data:`MAX_SHARE` of its largest logit.
    """
    generator = np.random.default_rng(0)
    size = module.recurrent.embedding.size
    edges = [Encoded.of(generator.integers(1, size, length).tolist()) for length in (1, 1, 2, 3)]
    joined = chain.from_iterable(text.ids for text in cycle(texts))
    bound = max([LONGEST, *map(len, texts)])
    edges.append(Encoded.of(list(islice(joined, min(longest, bound)))))
    session = Session(model)
    worst = 0.0
    for compared, rows in (([*edges, *texts], 32), ([*edges, *texts[:200]], 1)):
        expected = torch_logits(module, EncodedTexts([text.ids for text in compared], [0] * len(compared)))
        # in no order of length, so that a short text has a long neighbour and much padding
        order = np.random.default_rng(1).permutation(len(compared))
        found = onnx_logits(session, compared, rows=rows, order=order)
        differences = np.abs(expected - found).max(axis=1)
        allowed = MAX_DIFFERENCE + MAX_SHARE * np.abs(expected).max(axis=1)
        worst = max(worst, float(differences.max()))
        if not (differences <= allowed).all():
            most = int((differences - allowed).argmax())
            raise TrainingError(
                f"the exported model differs from PyTorch by {differences[most]:.2g} in a logit, where "
                f"{allowed[most]:.2g} may be: not exported"
            )
    return worst


def _array(parameter: torch.Tensor) -> FloatArray:
    return parameter.detach().numpy().astype(np.float32)


def _reorder(weight: FloatArray, cell: str) -> FloatArray:
    order = _GATE_ORDER[cell]
    gates = np.split(weight, len(order))
    return np.concatenate([gates[gate] for gate in order])

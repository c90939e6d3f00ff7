"""The ONNX graph of a classifier, written node by node from numpy weights.

``torch.onnx`` drops ``sequence_lens``, and has exported GRUs wrongly (onnxscript before 0.7.1), so the graph is built
here: ``ids [batch, time]`` and ``lengths [batch]`` in, ``logits [batch, labels]`` out, both axes dynamic, and what lies
past a text's length reaches neither the recurrent cells nor the pooling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto

from sortgate.vocabulary import FIRST_ID
from sortgate_training.ngram_graph import ngram_logits
from sortgate_training.nodes import Nodes, Weights
from sortgate_training.pairs import build_pair_table
from sortgate_training.tables import NgramTables

Cell = Literal["lstm", "gru"]

#: Gates in ONNX's order: LSTM input, output, forget, cell; GRU update, reset, hidden.
GATES: dict[Cell, int] = {"lstm": 4, "gru": 3}


@dataclass(frozen=True)
class GraphSpec:
    """Shape of the recurrent part; pooling is the maximum and the mean over time, concatenated."""

    cell: Cell
    hidden: int
    layers: int = 1
    bidirectional: bool = True

    @property
    def directions(self) -> int:
        """2 when bidirectional."""
        return 2 if self.bidirectional else 1

    @property
    def features(self) -> int:
        """Width of the pooled vector."""
        return 2 * self.directions * self.hidden


def build_graph(weights: Weights, spec: GraphSpec, ngrams: NgramTables | None = None) -> onnx.ModelProto:
    """Return the model.

    Args:
        weights: ``embedding [vocabulary, embedding]``; for each layer ``i``, with gates in ONNX's order,
            ``rnn.i.w [directions, gates·hidden, in]``, ``rnn.i.r [directions, gates·hidden, hidden]`` and
            ``rnn.i.b [directions, 2·gates·hidden]``; ``output.weight [labels, features]``, ``output.bias [labels]``.
        spec: the shape that the weights have.
        ngrams: the n-gram path, whose logits are added; None for the recurrent network alone.
    """
    graph = Nodes(weights)
    graph.constant("zero", np.array(0, dtype=np.int64))
    graph.constant("one", np.array(1, dtype=np.int64))
    graph.constant("time_axis", np.array([0], dtype=np.int64))
    graph.constant("batch_axis", np.array([1], dtype=np.int64))
    graph.constant("feature_axis", np.array([2], dtype=np.int64))
    graph.constant("lowest", np.array(np.finfo(np.float32).min, dtype=np.float32))
    graph.constant("merged", np.array([0, 0, spec.directions * spec.hidden], dtype=np.int64))

    graph.node("Gather", ["embedding", "ids"], "embedded")  # [batch, time, embedding]
    x = graph.node("Transpose", ["embedded"], "rnn.0.x", perm=[1, 0, 2])  # [time, batch, embedding]
    options: dict[str, Any] = {"linear_before_reset": 1} if spec.cell == "gru" else {}
    for layer in range(spec.layers):
        name = f"rnn.{layer}"
        graph.node(
            spec.cell.upper(),
            [x, f"{name}.w", f"{name}.r", f"{name}.b", "lengths"],
            f"{name}.y",  # [time, directions, batch, hidden], zeros past each length
            hidden_size=spec.hidden,
            direction="bidirectional" if spec.bidirectional else "forward",
            **options,
        )
        graph.node("Transpose", [f"{name}.y"], f"{name}.t", perm=[0, 2, 1, 3])
        x = graph.node("Reshape", [f"{name}.t", "merged"], f"rnn.{layer + 1}.x")  # [time, batch, directions·hidden]

    # mask [time, batch, 1]: true where the text has a token
    graph.node("Shape", [x], "shape")
    graph.node("Gather", ["shape", "zero"], "steps")
    graph.node("Range", ["zero", "steps", "one"], "positions")
    graph.node("Unsqueeze", ["positions", "batch_axis"], "positions.column")
    graph.node("Cast", ["lengths"], "lengths.int64", to=TensorProto.INT64)
    graph.node("Unsqueeze", ["lengths.int64", "time_axis"], "lengths.row")
    graph.node("Less", ["positions.column", "lengths.row"], "mask.flat")
    graph.node("Unsqueeze", ["mask.flat", "feature_axis"], "mask")

    graph.node("Where", ["mask", x, "lowest"], "masked")
    graph.node("ReduceMax", ["masked"], "pool.max", axes=[0], keepdims=0)
    graph.node("ReduceSum", [x, "time_axis"], "pool.sum", keepdims=0)
    graph.node("Cast", ["lengths"], "lengths.float", to=TensorProto.FLOAT)
    graph.node("Unsqueeze", ["lengths.float", "batch_axis"], "lengths.column")
    graph.node("Div", ["pool.sum", "lengths.column"], "pool.mean")
    graph.node("Concat", ["pool.max", "pool.mean"], "features", axis=1)
    recurrent = "logits" if ngrams is None else "recurrent.logits"
    graph.node("Gemm", ["features", "output.weight", "output.bias"], recurrent, transB=1)
    if ngrams is not None:
        graph.node("Add", [recurrent, ngram_logits(graph, ngrams)], "logits")
    return graph.model(labels=weights["output.bias"].shape[0])


def random_weights(
    vocabulary_size: int, labels: int, spec: GraphSpec, embedding: int, seed: int = 0
) -> dict[str, npt.NDArray[np.float32]]:
    """Return random weights of the right shapes."""
    generator = np.random.default_rng(seed)

    def normal(*shape: int) -> npt.NDArray[np.float32]:
        return (generator.standard_normal(shape) * 0.5).astype(np.float32)

    weights = {"embedding": normal(vocabulary_size, embedding)}
    width = embedding
    gates = GATES[spec.cell] * spec.hidden
    for layer in range(spec.layers):
        weights[f"rnn.{layer}.w"] = normal(spec.directions, gates, width)
        weights[f"rnn.{layer}.r"] = normal(spec.directions, gates, spec.hidden)
        weights[f"rnn.{layer}.b"] = normal(spec.directions, 2 * gates)
        width = spec.directions * spec.hidden
    weights["output.weight"] = normal(labels, spec.features)
    weights["output.bias"] = normal(labels)
    return weights


def random_tables(vocabulary_size: int, labels: int, pairs: int, seed: int = 0) -> NgramTables:
    """Return an n-gram path with random weights and ``pairs`` pairs at most."""
    generator = np.random.default_rng(seed)
    keys = np.unique(generator.integers(FIRST_ID, vocabulary_size, (pairs, 2)) @ np.array([vocabulary_size, 1]))

    def table(rows: int, columns: int, squares: list[int]) -> npt.NDArray[np.float32]:
        values = generator.standard_normal((rows, columns))
        values[:, squares] **= 2
        values[0] = 0.0  # padding, or no pair
        return values.astype(np.float32)

    words = table(vocabulary_size, 2 * labels + 2, [labels, -1])
    bias = generator.standard_normal(labels).astype(np.float32)
    of_pairs = table(len(keys) + 1, labels + 1, [-1])
    return NgramTables(words, of_pairs, build_pair_table(keys, vocabulary_size), bias, ())


def random_model(
    vocabulary_size: int,
    labels: int,
    *,
    hidden: int = 8,
    embedding: int = 8,
    cell: Cell = "lstm",
    pairs: int | None = None,
    seed: int = 0,
) -> bytes:
    """Return a small model with random weights, with an n-gram path if ``pairs`` is given: real but for its answers."""
    spec = GraphSpec(cell, hidden)
    weights = random_weights(vocabulary_size, labels, spec, embedding, seed)
    tables = None if pairs is None else random_tables(vocabulary_size, labels, pairs, seed)
    data: bytes = build_graph(weights, spec, tables).SerializeToString()
    return data

"""The ONNX graph of a classifier, written node by node from numpy weights.

``torch.onnx`` drops ``sequence_lens``, and has exported GRUs wrongly (onnxscript before 0.7.1), so the graph is built
here: ``ids [batch, time]`` and ``lengths [batch]`` in, ``logits [batch, labels]`` out, both axes dynamic, and what lies
past a text's length reaches neither the recurrent cells nor the pooling.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from sortgate.vocabulary import UNKNOWN_ID
from sortgate_training.pairs import MULTIPLIERS, NO_KEY
from sortgate_training.tables import LEAST_NORM, STEP, STEPS, NgramTables

OPSET = 17
IR_VERSION = 8

Cell = Literal["lstm", "gru"]
Weights = Mapping[str, npt.NDArray[np.float32]]

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
    graph = _Graph(weights)
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
        graph.node("Add", [recurrent, _ngram_logits(graph, ngrams)], "logits")
    return graph.model(labels=weights["output.bias"].shape[0])


def _ngram_logits(graph: _Graph, tables: NgramTables) -> str:
    """Add the n-gram path; returns the name of its logits. Rows of padding are 0, so nothing need be masked."""
    count = tables.labels
    for name, table in (("words", tables.words), ("pairs", tables.pairs), ("bias", tables.bias)):
        graph.constant(f"ngram.{name}", table)
    graph.constant("ngram.slots", tables.keys.slots)
    graph.constant("ngram.numbers", tables.keys.numbers)
    whole = {"size": tables.keys.size, "slot_count": len(tables.keys.slots), "no_key": NO_KEY, "unknown": UNKNOWN_ID}
    for name, number in whole.items():
        graph.constant(f"ngram.{name}", np.array(number, dtype=np.int64))
    graph.constant("ngram.least", np.array(LEAST_NORM, dtype=np.float32))
    for position in (count, count + 1, 2 * count + 1, np.iinfo(np.int64).max):
        graph.constant(f"at.{position}", np.array([position], dtype=np.int64))

    def part(table: str, start: str, end: str, output: str) -> str:
        return graph.node("Slice", [table, start, end, "batch_axis"], output)

    # each token beside the next one, [batch, time]; beside the last one stands 0, the padding
    ids = graph.node("Cast", ["ids"], "ngram.left", to=TensorProto.INT64)
    column = part(ids, "time_axis", "batch_axis", "ngram.column")
    graph.node("Sub", [column, column], "ngram.nothing")
    part(ids, "batch_axis", f"at.{np.iinfo(np.int64).max}", "ngram.rest")
    after = graph.node("Concat", ["ngram.rest", "ngram.nothing"], "ngram.right", axis=1)
    graph.node("Greater", [ids, "ngram.unknown"], "ngram.left.known")
    graph.node("Greater", [after, "ngram.unknown"], "ngram.right.known")
    graph.node("And", ["ngram.left.known", "ngram.right.known"], "ngram.known")
    graph.node("Mul", [ids, "ngram.size"], "ngram.left.part")
    graph.node("Add", ["ngram.left.part", after], "ngram.any_key")
    graph.node("Where", ["ngram.known", "ngram.any_key", "ngram.no_key"], "ngram.key")
    rows = []
    for number, (left, right) in enumerate(MULTIPLIERS):
        name = f"ngram.choice{number}"
        graph.constant(f"{name}.a", np.array(left, dtype=np.int64))
        graph.constant(f"{name}.b", np.array(right, dtype=np.int64))
        graph.node("Mul", [ids, f"{name}.a"], f"{name}.left")
        graph.node("Mul", [after, f"{name}.b"], f"{name}.right")
        graph.node("Add", [f"{name}.left", f"{name}.right"], f"{name}.hash")
        graph.node("Mod", [f"{name}.hash", "ngram.slot_count"], f"{name}.slot")
        graph.node("Gather", ["ngram.slots", f"{name}.slot"], f"{name}.found")
        graph.node("Equal", [f"{name}.found", "ngram.key"], f"{name}.hit")
        graph.node("Gather", ["ngram.numbers", f"{name}.slot"], f"{name}.number")
        rows.append(graph.node("Where", [f"{name}.hit", f"{name}.number", "zero"], f"{name}.row"))
    graph.node("Max", rows, "ngram.row")  # both choices may be one slot

    graph.node("Unsqueeze", [ids, "time_axis"], "ngram.word_rows")
    graph.node("Unsqueeze", ["ngram.row", "time_axis"], "ngram.pair_rows")
    both = graph.node("Concat", ["ngram.word_rows", "ngram.pair_rows"], "ngram.both", axis=0)  # [2, batch, time]
    numbers, factors = _damped(graph, both)
    sums = {}
    for name, rows_of, factor in zip(("words", "pairs"), numbers, factors, strict=True):
        graph.node("Gather", [f"ngram.{name}", rows_of], f"ngram.{name}.each")
        sums[name] = graph.node("MatMul", [factor, f"ngram.{name}.each"], f"ngram.{name}.sums")  # [batch, 2, columns]

    end = f"at.{np.iinfo(np.int64).max}"

    def columns(sums: str, power: int, start: str, end: str, output: str) -> str:
        """Return columns of the sums of ``f`` times a row, or of ``f²`` times: ``[batch, columns]``."""
        graph.node("Gather", [sums, ("zero", "one")[power - 1]], f"{output}.of", axis=1)
        return part(f"{output}.of", start, end, output)

    word = {}
    for what, power, start, stop in (
        ("weights", 1, "time_axis", f"at.{count}"),
        ("square", 2, f"at.{count}", f"at.{count + 1}"),
    ):
        parts = [columns(sums[name], power, start, stop, f"ngram.{name}.{what}") for name in ("words", "pairs")]
        word[what] = graph.node("Add", parts, f"ngram.word.{what}")
    characters = {
        "weights": columns(sums["words"], 1, f"at.{count + 1}", f"at.{2 * count + 1}", "ngram.character.weights"),
        "square": columns(sums["words"], 1, f"at.{2 * count + 1}", end, "ngram.character.square"),
    }
    logits = "ngram.bias"
    for name, found in (("word", word), ("character", characters)):
        graph.node("Max", [found["square"], "ngram.least"], f"ngram.{name}.bounded")
        graph.node("Sqrt", [f"ngram.{name}.bounded"], f"ngram.{name}.norm")
        graph.node("Div", [found["weights"], f"ngram.{name}.norm"], f"ngram.{name}.logits")
        logits = graph.node("Add", [f"ngram.{name}.logits", logits], f"ngram.{name}.total")
    return logits


def _damped(graph: _Graph, numbers: str) -> tuple[list[str], list[str]]:
    """Add what counts the same numbers along the last axis of ``[2, batch, time]``; returns names for both halves.

    Of numbers in order, the last of its kind stands for all: ``c`` or more there are where the one ``c − 1`` before it
    is the same. The others become 0, which looks up nothing.

    Returns:
        The numbers ``[batch, time]`` of each half, and their factors ``[batch, 2, time]``, ``f`` and ``f²``.
    """
    name, margin, end = "ngram.sorted", STEPS[-1] - 1, np.iinfo(np.int64).max
    graph.constant("ngram.-1", np.array(-1, dtype=np.int64))
    graph.node("Shape", [numbers], f"{name}.shape")
    graph.node("Gather", [f"{name}.shape", "feature_axis"], f"{name}.time")
    values = graph.node("TopK", [numbers, f"{name}.time"], f"{name}.values", more=[f"{name}.places"], axis=2)
    # a margin of what no number is, wide enough to look beyond both ends
    graph.node("Gather", [values, "time_axis"], f"{name}.column", axis=2)  # [2, batch, 1]
    none = graph.node("Min", [f"{name}.column", "ngram.-1"], f"{name}.none")
    graph.node("Concat", [none] * margin + [values, none], f"{name}.margins", axis=2)

    def neighbour(by: int) -> str:
        """Return what stands ``by`` after each number."""
        start, stop = margin + by, by - 1 or end
        for position in (start, stop):
            graph.constant(f"at.{position}", np.array([position], dtype=np.int64))
        return graph.node("Slice", [f"{name}.margins", f"at.{start}", f"at.{stop}", "feature_axis"], f"{name}.by{by}")

    graph.node("Equal", [values, neighbour(1)], f"{name}.goes_on")
    graph.node("Where", [f"{name}.goes_on", "zero", values], f"{name}.last")
    graph.constant(f"{name}.step", np.array(STEP, dtype=np.float32))
    graph.constant(f"{name}.once", np.array(1.0, dtype=np.float32))
    factor = f"{name}.once"
    for count in STEPS:
        graph.node("Equal", [values, neighbour(1 - count)], f"{name}.is{count}")
        graph.node("Cast", [f"{name}.is{count}"], f"{name}.is{count}.float", to=TensorProto.FLOAT)
        graph.node("Mul", [f"{name}.is{count}.float", f"{name}.step"], f"{name}.more{count}")
        factor = graph.node("Add", [f"{name}.more{count}", factor], f"{name}.f{count}")
    graph.node("Mul", [factor, factor], f"{name}.square")
    for part in (factor, f"{name}.square"):
        graph.node("Unsqueeze", [part, "feature_axis"], f"{part}.row")
    graph.node("Concat", [f"{factor}.row", f"{name}.square.row"], f"{name}.factors", axis=2)  # [2, batch, 2, time]
    last, factors = (
        [graph.node("Gather", [f"{name}.{what}", at], f"{name}.{what}.{at}") for at in ("zero", "one")]
        for what in ("last", "factors")
    )
    return last, factors


class _Graph:
    def __init__(self, weights: Weights) -> None:
        self._initializers = [
            numpy_helper.from_array(np.ascontiguousarray(value, dtype=np.float32), name)
            for name, value in weights.items()
        ]
        self._nodes: list[onnx.NodeProto] = []

    def constant(self, name: str, value: npt.NDArray[Any]) -> None:
        if any(known.name == name for known in self._initializers):
            return
        self._initializers.append(numpy_helper.from_array(value, name))

    def node(self, operator: str, inputs: list[str], output: str, more: Sequence[str] = (), **attributes: Any) -> str:
        self._nodes.append(helper.make_node(operator, inputs, [output, *more], name=output, **attributes))
        return output

    def model(self, labels: int) -> onnx.ModelProto:
        graph = helper.make_graph(
            self._nodes,
            "classifier",
            [
                helper.make_tensor_value_info("ids", TensorProto.INT32, ["batch", "time"]),
                helper.make_tensor_value_info("lengths", TensorProto.INT32, ["batch"]),
            ],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", labels])],
            self._initializers,
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="sortgate", ir_version=IR_VERSION
        )
        onnx.checker.check_model(model)
        return model


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


def random_model(
    vocabulary_size: int, labels: int, *, hidden: int = 8, embedding: int = 8, cell: Cell = "lstm", seed: int = 0
) -> bytes:
    """Return a small model with random weights: real in everything but its answers."""
    spec = GraphSpec(cell, hidden)
    weights = random_weights(vocabulary_size, labels, spec, embedding, seed)
    data: bytes = build_graph(weights, spec).SerializeToString()
    return data

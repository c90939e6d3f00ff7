"""Looks through an ONNX file before ONNX Runtime sees it, without the onnx package.

An untrusted model reaches native code that has had out-of-bounds reads and reads of arbitrary files (CVE-2024-27318,
CVE-2025-51480; onnxruntime pull requests 26776, 28709, 29595). A bundle's model needs little, so everything else is
refused: external data, functions, subgraphs, unknown operators, sizes that do not add up. How much memory a model takes
while it runs is not judged here beyond that. Field numbers are those of onnx/onnx.proto in onnx 1.23.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sortgate.bundle.onnx_recurrent import GATES, check_recurrent
from sortgate.bundle.onnx_tensors import Tensor, read_tensor
from sortgate.bundle.wire import Schema, WireReader, refuse, text

MAX_MODEL_BYTES = 1 << 30
MAX_NODES = 10_000
MAX_FILLED_ELEMENTS = 1 << 26

#: What our exporter and ONNX Runtime's quantizer write, by domain. None of them holds a subgraph or reads a file.
_STANDARD = """
    Abs Add And Cast Clip Concat Constant ConstantOfShape DequantizeLinear Div DynamicQuantizeLinear Equal Exp Expand
    GRU Gather GatherElements Gemm Greater GreaterOrEqual Identity LSTM Less LessOrEqual Log MatMul MatMulInteger Max
    Min Mod Mul Neg Not Or Range ReduceMax ReduceMean ReduceSum Relu Reshape ReverseSequence Shape Sigmoid Slice Softmax
    Sqrt Squeeze Sub Tanh TopK Transpose Unsqueeze Where
"""
ALLOWED_OPERATORS: Mapping[str, frozenset[str]] = {
    "": frozenset(_STANDARD.split()),
    "com.microsoft": frozenset({"DynamicQuantizeLSTM", "DynamicQuantizeMatMul", "MatMulIntegerToFloat"}),
}
_DOMAINS = {"": "", "ai.onnx": "", "com.microsoft": "com.microsoft"}

_MODEL: Schema = {
    1: "int", 2: "bytes", 3: "bytes", 4: "bytes", 5: "int", 6: "bytes", 7: "bytes", 8: "*bytes", 14: "*bytes",
    20: "!training information", 25: "!functions", 26: "!a device configuration",
}  # fmt: skip
_OPSET: Schema = {1: "bytes", 2: "int"}
_GRAPH: Schema = {
    1: "*bytes", 2: "bytes", 5: "*bytes", 10: "bytes", 11: "*bytes", 12: "*bytes", 13: "*bytes",
    14: "!quantization annotations", 15: "!sparse tensors", 16: "*bytes",
}  # fmt: skip
_NODE: Schema = {
    1: "*bytes", 2: "*bytes", 3: "bytes", 4: "bytes", 5: "*bytes", 6: "bytes", 7: "bytes",
    8: "!an overloaded function", 9: "*bytes", 10: "!a device configuration",
}  # fmt: skip
_ATTRIBUTE: Schema = {
    1: "bytes", 2: "fixed32", 3: "int", 4: "bytes", 5: "bytes", 6: "!a subgraph", 7: "fixed32s", 8: "ints",
    9: "*bytes", 10: "!a list of tensors", 11: "!subgraphs", 13: "bytes", 14: "!a type attribute",
    15: "!a type attribute", 20: "int", 21: "!a function's attribute", 22: "!sparse tensors", 23: "!sparse tensors",
}  # fmt: skip
_VALUE: Schema = {1: "bytes", 2: "bytes", 3: "bytes", 4: "*bytes"}
_TYPE: Schema = {
    1: "bytes", 4: "!a sequence", 5: "!a map", 6: "bytes", 7: "!an opaque type", 8: "!a sparse tensor",
    9: "!an optional value",
}  # fmt: skip
_TENSOR_TYPE: Schema = {1: "int", 2: "bytes"}
_SHAPE: Schema = {1: "*bytes"}
_DIM: Schema = {1: "int", 2: "bytes", 3: "bytes"}

_FLOAT, _INT32 = 1, 6
#: Operators through which token ids may pass on their way to the embedding.
_KEEPS_IDS = {"Cast", "Identity", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "ReverseSequence"}


@dataclass(frozen=True)
class GraphFacts:
    """What the check learned on its way.

    Attributes:
        opset: version of the default operator set.
        operators: names of the operators used.
        embedding_rows: rows of the table that token ids look up, None when there is none.
        labels: width of the output, None when the file does not say.
    """

    opset: int
    operators: frozenset[str]
    embedding_rows: int | None
    labels: int | None


def check_onnx(data: bytes) -> GraphFacts:
    """Accept a model that a bundle may hold: ``ids [batch, time]`` and ``lengths [batch]`` in, ``logits`` out.

    Raises:
        UnsafeModelError: it holds anything else, or is not a well-formed ONNX file.
    """
    if len(data) > MAX_MODEL_BYTES:
        refuse(f"is larger than {MAX_MODEL_BYTES} bytes")
    reader = WireReader()
    model = reader.read(memoryview(data), _MODEL, "the model")
    if 7 not in model:
        refuse("holds no graph")
    opsets: dict[str, int] = {}
    for message in model.get(8, ()):
        opset = reader.read(message, _OPSET, "an operator set")
        domain = text(opset.get(1), "an operator set")
        if domain not in _DOMAINS or _DOMAINS[domain] in opsets:
            refuse(f"imports operators of the unknown domain {domain!r}, or imports them twice")
        opsets[_DOMAINS[domain]] = opset.get(2, 0)
    if "" not in opsets:
        refuse("does not say which operator set it uses")
    return _Graph(reader, reader.read(model[7], _GRAPH, "the graph"), opsets[""]).facts()


class _Graph:
    """One pass over the graph; nodes are in topological order, as ONNX demands."""

    def __init__(self, reader: WireReader, graph: dict[int, Any], opset: int) -> None:
        self._reader = reader
        self._opset = opset
        self._stored: dict[str, Tensor] = {}
        text(graph.get(2), "the graph")
        for message in graph.get(5, ()):
            self._store(read_tensor(reader, message))
        self._check_inputs(graph.get(11, ()))
        self._labels = self._check_output(graph.get(12, ()))
        for message in graph.get(13, ()):
            self._value(message)
        self._made = {"ids", "lengths", *self._stored}
        self._ids = {"ids"}
        self._rows: set[int] = set()
        self._operators: set[str] = set()
        nodes = graph.get(1, ())
        if len(nodes) > MAX_NODES:
            refuse(f"has more than {MAX_NODES} nodes")
        for message in nodes:
            self._check_node(message)
        if "logits" not in self._made or "logits" in self._stored:
            refuse("does not compute logits")

    def facts(self) -> GraphFacts:
        if len(self._rows) > 1:
            refuse("looks up token ids in tables of different lengths")
        rows = next(iter(self._rows), None)
        return GraphFacts(self._opset, frozenset(self._operators), rows, self._labels)

    def _store(self, tensor: Tensor) -> None:
        if not tensor.name or tensor.name in self._stored or tensor.name in {"ids", "lengths"}:
            refuse(f"stores a tensor {tensor.name!r} twice, or under the name of an input")
        self._stored[tensor.name] = tensor

    def _check_inputs(self, messages: list[memoryview]) -> None:
        found = {}
        for message in messages:
            name, kind, dims = self._value(message)
            found[name] = (kind, len(dims))
        if len(messages) != 2 or found != {"ids": (_INT32, 2), "lengths": (_INT32, 1)}:
            refuse("must take int32 ids [batch, time] and int32 lengths [batch]")

    def _check_output(self, messages: list[memoryview]) -> int | None:
        values = [self._value(message) for message in messages]
        if len(values) != 1 or values[0][:2] != ("logits", _FLOAT) or len(values[0][2]) != 2:
            refuse("must give float32 logits [batch, labels]")
        return values[0][2][1]

    def _value(self, message: memoryview) -> tuple[str, int, list[int | None]]:
        """Return the name, element type and known dimensions of a ValueInfoProto."""
        read = self._reader.read
        value = read(message, _VALUE, "a value")
        kind = read(value.get(2, memoryview(b"")), _TYPE, "a type")
        tensor = read(kind.get(1, memoryview(b"")), _TENSOR_TYPE, "a type")
        shape = read(tensor.get(2, memoryview(b"")), _SHAPE, "a shape")
        dims = []
        for message in shape.get(1, ()):
            dim = read(message, _DIM, "a dimension")
            text(dim.get(2), "a dimension")
            dims.append(dim.get(1))
        return text(value.get(1), "a value"), tensor.get(1, 0), dims

    def _check_node(self, message: memoryview) -> None:
        node = self._reader.read(message, _NODE, "a node")
        _, operator, domain = (text(node.get(number), "a node") for number in (3, 4, 7))
        if operator not in ALLOWED_OPERATORS.get(_DOMAINS.get(domain, "?"), ()):
            refuse(f"uses the operator {(domain + '.' if domain else '') + operator!r}, which no bundle needs")
        self._operators.add(operator)
        inputs = [text(name, "a node") for name in node.get(1, ())]
        outputs = [text(name, "a node") for name in node.get(2, ())]
        missing = [name for name in inputs if name and name not in self._made]
        if missing:
            refuse(f"uses {missing[0]!r} before it is made")
        for name in filter(None, outputs):
            if name in self._made:
                refuse(f"makes {name!r} twice")
            self._made.add(name)
        attributes = self._attributes(node)
        if operator in GATES:
            check_recurrent(operator, inputs, attributes, self._stored)
        elif operator == "Mod":
            divisor = self._stored.get(inputs[-1]) if len(inputs) == 2 else None
            if divisor is None or not divisor.ints or min(divisor.ints) < 1:  # a division by 0 would end the process
                refuse("divides by what is not stored in the file, or not positive")
        elif operator in {"ConstantOfShape", "Expand"}:
            self._check_filled(operator, inputs)
        elif operator == "Gather" and len(inputs) == 2 and inputs[1] in self._ids and inputs[0] in self._stored:
            if attributes.get("axis", {}).get(3, 0) != 0 or not self._stored[inputs[0]].dims:
                refuse("looks up token ids along another axis than the first")
            self._rows.add(self._stored[inputs[0]].dims[0])
        elif operator in _KEEPS_IDS and inputs and inputs[0] in self._ids:
            self._ids.update(outputs)

    def _attributes(self, node: dict[int, Any]) -> dict[str, dict[int, Any]]:
        attributes: dict[str, dict[int, Any]] = {}
        for message in node.get(5, ()):
            attribute = self._reader.read(message, _ATTRIBUTE, "an attribute")
            name = text(attribute.get(1), "an attribute")
            if name in attributes:
                refuse(f"has an attribute {name!r} twice")
            if 5 in attribute:
                read_tensor(self._reader, attribute[5])
            attributes[name] = attribute
        return attributes

    def _check_filled(self, operator: str, inputs: list[str]) -> None:
        """Refuse to fill a stored shape of absurd size; shapes that are computed come from the text's own length."""
        shape = self._stored.get(inputs[0 if operator == "ConstantOfShape" else -1]) if inputs else None
        size = 1
        for dim in (shape.ints or ()) if shape else ():
            size *= max(dim, 1)
        if size > MAX_FILLED_ELEMENTS:
            refuse(f"fills a tensor of {size} elements")

"""Looks through an ONNX file before ONNX Runtime sees it, without the onnx package.

Loading an untrusted model reaches native code that has had out-of-bounds reads and arbitrary file reads
(onnx CVE-2024-27318, CVE-2025-51480; onnxruntime pull requests 28052, 29595). A bundle's model needs little, so
everything else is refused: external data, functions, subgraphs, unknown operators, sizes that do not add up.
Field numbers are those of onnx/onnx.proto (ONNX IR 10); the encoding is that of protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

from sortgate.errors import UnsafeModelError

MAX_MODEL_BYTES = 1 << 30
MAX_NODES = 10_000

#: What our exporter and ONNX Runtime's quantizer write, by domain.
ALLOWED_OPERATORS: dict[str, frozenset[str]] = {
    "": frozenset(
        """Abs Add And Cast Clip Concat Constant ConstantOfShape DequantizeLinear Div DynamicQuantizeLinear Equal Exp
        Expand GRU Gather GatherElements GatherND Gemm Greater GreaterOrEqual Identity LSTM Less LessOrEqual Log MatMul
        MatMulInteger Max Min Mod Mul Neg Not Or Pad Pow QuantizeLinear Range ReduceMax ReduceMean ReduceSum Relu
        Reshape ReverseSequence ScatterND Shape Sigmoid Slice Softmax Sqrt Squeeze Sub Tanh Transpose Unsqueeze
        Where""".split()
    ),
    "com.microsoft": frozenset({"DynamicQuantizeLSTM", "DynamicQuantizeMatMul", "MatMulIntegerToFloat"}),
}
ALLOWED_OPERATORS["ai.onnx"] = ALLOWED_OPERATORS[""]

#: Bytes an element of each TensorProto.DataType takes in ``raw_data``.
_ELEMENT_BYTES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8}

Field = tuple[int, int, "int | memoryview"]


def check_onnx(data: bytes) -> None:
    """Accept a model that a bundle may hold.

    Raises:
        UnsafeModelError: it holds anything else, or is not a well-formed ONNX file.
    """
    if len(data) > MAX_MODEL_BYTES:
        _refuse(f"is larger than {MAX_MODEL_BYTES} bytes")
    graphs = 0
    for number, _, value in _fields(memoryview(data)):
        if number == 7:
            graphs += 1
            _check_graph(_message(value))
        elif number == 8:
            domain = _text(_first(_message(value), 1))
            if domain not in ALLOWED_OPERATORS and domain != "ai.onnx.ml":
                _refuse(f"imports operators of the unknown domain {domain!r}")
        elif number == 25:
            _refuse("holds functions")
        elif number == 20:
            _refuse("holds training information")
    if graphs != 1:
        _refuse("is not an ONNX model: it holds no single graph")


def _check_graph(graph: memoryview) -> None:
    shapes: dict[str, list[int]] = {}
    recurrent: list[memoryview] = []
    nodes = 0
    for number, _, value in _fields(graph):
        if number == 1:
            nodes += 1
            if nodes > MAX_NODES:
                _refuse(f"has more than {MAX_NODES} nodes")
            operator = _check_node(_message(value))
            if operator in {"LSTM", "GRU"}:
                recurrent.append(_message(value))
        elif number == 5:
            name, dims = _check_tensor(_message(value))
            shapes[name] = dims
        elif number == 15:
            _refuse("holds sparse tensors")
    for node in recurrent:
        _check_recurrent(node, shapes)


def _check_node(node: memoryview) -> str:
    operator = domain = ""
    for number, _, value in _fields(node):
        if number == 4:
            operator = _text(value)
        elif number == 7:
            domain = _text(value)
        elif number == 5:
            for inner, _, content in _fields(_message(value)):
                if inner in {6, 11}:
                    _refuse("holds a subgraph")
                elif inner in {22, 23}:
                    _refuse("holds sparse tensors")
                elif inner in {5, 10}:
                    _check_tensor(_message(content))
    if operator not in ALLOWED_OPERATORS.get(domain, ()):
        _refuse(f"uses the operator {(domain + '.' if domain else '') + operator!r}, which no bundle needs")
    return operator


def _check_tensor(tensor: memoryview) -> tuple[str, list[int]]:
    """Return a tensor's name and dimensions; its data must be there, and of the size they ask for."""
    dims: list[int] = []
    kind = raw = None
    name = ""
    typed = 0
    for number, wire, value in _fields(tensor):
        if number == 1:
            dims += [_int(value)] if wire == 0 else _varints(_message(value))
        elif number == 2:
            kind = _int(value)
        elif number == 8:
            name = _text(value)
        elif number == 9:
            raw = len(_message(value))
        elif number in {4, 5, 6, 7, 10, 11}:
            typed += len(value) if isinstance(value, memoryview) else 1
        elif number == 13 or (number == 14 and value != 0):
            _refuse("refers to external data")
        elif number == 3:
            _refuse("holds a tensor in segments")
    elements = 1
    for dim in dims:
        if not 0 <= dim <= MAX_MODEL_BYTES:
            _refuse("holds a tensor of an absurd size")
        elements *= dim
        if elements > MAX_MODEL_BYTES:
            _refuse("holds a tensor of an absurd size")
    if kind not in _ELEMENT_BYTES:
        _refuse("holds a tensor of a type that no bundle needs")
    if raw is not None and raw != elements * _ELEMENT_BYTES[kind]:
        _refuse("holds a tensor whose data does not fit its dimensions")
    if raw is None and typed < elements:  # the shortest encoding of an element takes one byte
        _refuse("holds a tensor whose data does not fit its dimensions")
    return name, dims


def _check_recurrent(node: memoryview, shapes: dict[str, list[int]]) -> None:
    inputs = [_text(value) for number, _, value in _fields(node) if number == 1]
    operator = _text(_first(node, 4))
    hidden: int | None = None
    for number, _, value in _fields(node):
        if number == 5 and _text(_first(_message(value), 1)) == "hidden_size":
            found = _first(_message(value), 3)
            hidden = _int(found) if found is not None else None
    gates = {"LSTM": 4, "GRU": 3}[operator]
    if hidden is None or not 0 < hidden <= 65_536 or len(inputs) < 3:
        _refuse(f"has an {operator} without a proper hidden_size or weights")
    w, r = shapes.get(inputs[1]), shapes.get(inputs[2])
    if w is None or r is None:
        _refuse(f"has an {operator} whose weights are not stored in it")
    if len(w) != 3 or len(r) != 3 or w[1] != gates * hidden or r[1:] != [gates * hidden, hidden] or w[0] != r[0]:
        _refuse(f"has an {operator} whose weights do not fit its hidden_size")


# -- protobuf ------------------------------------------------------------------------------------------------------


def _fields(message: memoryview) -> Iterator[Field]:
    """Yield ``(field number, wire type, value)``; a group or an unknown wire type is refused."""
    at, end = 0, len(message)
    while at < end:
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if number == 0:
            _refuse("is not a well-formed ONNX file")
        if wire == 0:
            value, at = _varint(message, at)
            yield number, wire, value
            continue
        if wire == 2:
            size, at = _varint(message, at)
        elif wire in {1, 5}:
            size = 8 if wire == 1 else 4
        else:
            _refuse("is not a well-formed ONNX file")
        if at + size > end:
            _refuse("is cut short")
        yield number, wire, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 70:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    _refuse("is cut short")


def _varints(message: memoryview) -> list[int]:
    values, at = [], 0
    while at < len(message):
        value, at = _varint(message, at)
        values.append(value)
    return values


def _first(message: memoryview, wanted: int) -> int | memoryview | None:
    return next((value for number, _, value in _fields(message) if number == wanted), None)


def _message(value: int | memoryview) -> memoryview:
    if not isinstance(value, memoryview):
        _refuse("is not a well-formed ONNX file")
    return value


def _int(value: int | memoryview) -> int:
    if not isinstance(value, int):
        _refuse("is not a well-formed ONNX file")
    return value


def _text(value: int | memoryview | None) -> str:
    if value is None:
        return ""
    try:
        return bytes(_message(value)).decode()
    except UnicodeDecodeError:
        _refuse("is not a well-formed ONNX file")


def _refuse(why: str) -> NoReturn:
    raise UnsafeModelError(f"model.onnx {why}: it is not run")

"""The numbers that a bundle's model holds, read from its ONNX file without the onnx package.

Explaining needs gradients, which ONNX Runtime does not give. So the stored weights are read here, and NumPy repeats
what the graph does with them. Whether it does is not assumed: every explanation compares both (``gradients``).
Field numbers are those of onnx/onnx.proto in onnx 1.23.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sortgate.bundle.wire import BYTES, FIXED32, FIXED64, VARINT, signed, varint
from sortgate.errors import InferenceError

FloatArray = npt.NDArray[np.float64]

_GRAPH, _INITIALIZER = 7, 5
_DIMS, _DATA_TYPE, _FLOATS, _INT32S, _INT64S, _NAME, _RAW = 1, 2, 4, 5, 7, 8, 9
_TYPES = {1: "<f4", 2: "u1", 3: "i1", 6: "<i4", 7: "<i8"}


@dataclass(frozen=True)
class Layer:
    """One recurrent layer, gates in ONNX's order: LSTM input, output, forget, cell; GRU update, reset, hidden.

    Attributes:
        w: ``[directions, gates·hidden, in]``.
        r: ``[directions, gates·hidden, hidden]``.
        b: ``[directions, 2·gates·hidden]``, those of ``w`` and then those of ``r``.
    """

    w: FloatArray
    r: FloatArray
    b: FloatArray


@dataclass(frozen=True)
class Weights:
    """What the model of a bundle is made of.

    Attributes:
        cell: ``lstm`` or ``gru``.
        embedding: ``[vocabulary, embedding]``.
        layers: the recurrent layers.
        output: ``[labels, features]``.
        bias: ``[labels]``.
        tables: stored tensors of the n-gram path by name, without ``ngram.``; empty when there is none.
    """

    cell: str
    embedding: npt.NDArray[np.float32]
    layers: tuple[Layer, ...]
    output: FloatArray
    bias: FloatArray
    tables: Mapping[str, npt.NDArray[Any]]


def read_weights(model: bytes, cell: str) -> Weights:
    """Return the weights of an ONNX file that has passed ``check_onnx``.

    Raises:
        InferenceError: it is not laid out as ``sortgate train`` lays it out.
    """
    stored = dict(_tensors(memoryview(model)))
    layers: list[Layer] = []
    try:
        while f"rnn.{len(layers)}.b" in stored:
            name = f"rnn.{len(layers)}"
            w, r = (_matrix(stored, f"{name}.{which}") for which in "wr")
            layers.append(Layer(w, r, stored[f"{name}.b"].astype(np.float64)))
        if "output.weight_Transposed" in stored:  # as ONNX Runtime's quantiser turns it
            stored["output.weight"] = stored["output.weight_Transposed"].T
        output, bias = (stored[f"output.{which}"].astype(np.float64) for which in ("weight", "bias"))
        embedding = stored["embedding"]
    except KeyError as error:
        raise InferenceError(f"the model stores no tensor {error}: `sortgate train` writes others") from None
    if not layers:
        raise InferenceError("the model stores no recurrent layer: `sortgate train` writes others")
    tables = {name.removeprefix("ngram."): tensor for name, tensor in stored.items() if name.startswith("ngram.")}
    return Weights(cell, embedding, tuple(layers), output, bias, tables)


def _matrix(stored: Mapping[str, npt.NDArray[Any]], name: str) -> FloatArray:
    """Return a recurrent layer's weights; int8 ones are multiplied out, and turned as the float32 ones lie."""
    if name in stored:
        return stored[name].astype(np.float64)
    scale, zero = (stored[f"{name}_{which}"].astype(np.float64) for which in ("scale", "zero_point"))
    whole = (stored[f"{name}_quantized"].astype(np.float64) - zero[:, None, :]) * scale[:, None, :]
    return np.ascontiguousarray(whole.transpose(0, 2, 1))


def _tensors(model: memoryview) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Yield the names and values of the stored tensors, as views of the file where they can be."""
    for number, graph in _fields(model):
        if number != _GRAPH:
            continue
        for kind, message in _fields(graph):
            if kind != _INITIALIZER:
                continue
            dims: list[int] = []
            found: dict[int, Any] = {}
            for field, value in _fields(message):
                if field == _DIMS:
                    dims += [value] if isinstance(value, int) else _packed(value)
                else:
                    found[field] = value
            if (element := _TYPES.get(found.get(_DATA_TYPE, 0))) is not None:
                yield bytes(found.get(_NAME, b"")).decode(), _values(found, element).reshape(dims)


def _values(found: Mapping[int, Any], element: str) -> npt.NDArray[Any]:
    """Return a tensor's values from whichever of its fields holds them; the quantiser of ONNX Runtime uses them all."""
    for field in (_RAW, _FLOATS):
        if field in found:
            return np.frombuffer(found[field], element)
    numbers = [signed(value) for value in _packed(found.get(_INT32S, found.get(_INT64S, memoryview(b""))))]
    return np.array(numbers, dtype=np.int64).astype(element)


def _fields(message: memoryview) -> Iterator[tuple[int, Any]]:
    """Yield field number and value, an int or the bytes, of a message that is known to be well formed."""
    at = 0
    while at < len(message):
        key, at = varint(message, at)
        wire = key & 7
        if wire == VARINT:
            value, at = varint(message, at)
            yield key >> 3, value
            continue
        size = {FIXED64: 8, FIXED32: 4}.get(wire, 0)
        if wire == BYTES:
            size, at = varint(message, at)
        yield key >> 3, message[at : at + size]
        at += size


def _packed(data: memoryview) -> list[int]:
    values, at = [], 0
    while at < len(data):
        value, at = varint(data, at)
        values.append(value)
    return values

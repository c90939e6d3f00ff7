"""Checks of stored tensors: the data must be in the file, and of the size that the dimensions ask for."""

from __future__ import annotations

import struct
from typing import NamedTuple

from sortgate.bundle.wire import Schema, WireReader, count_varints, refuse, signed, text, varint

MAX_TENSOR_BYTES = 1 << 30
MAX_RANK = 8

#: TensorProto.DataType → name, bytes of an element in ``raw_data``, and the field used instead of ``raw_data``.
_TYPES = {
    1: ("float", 4, 4),
    2: ("uint8", 1, 5),
    3: ("int8", 1, 5),
    6: ("int32", 4, 5),
    7: ("int64", 8, 7),
    9: ("bool", 1, 5),
}
_RAW = 9
_TENSOR: Schema = {
    1: "ints",  # dims
    2: "int",  # data_type
    3: "!a tensor in segments",
    4: "bytes",  # float_data, packed
    5: "bytes",  # int32_data, packed
    6: "!a tensor of strings",
    7: "bytes",  # int64_data, packed
    8: "bytes",  # name
    9: "bytes",  # raw_data
    10: "!a tensor of a type that no bundle needs",
    11: "!a tensor of a type that no bundle needs",
    12: "bytes",  # doc_string
    13: "!a reference to external data",
    14: "int",  # data_location
    16: "*bytes",  # metadata_props
}


class Tensor(NamedTuple):
    """What later checks need of a tensor; ``ints`` are the values of an int64 tensor of 16 elements or fewer."""

    name: str
    kind: str
    dims: tuple[int, ...]
    ints: tuple[int, ...] | None


def read_tensor(reader: WireReader, message: memoryview) -> Tensor:
    """Check a TensorProto.

    Raises:
        UnsafeModelError: external, malformed, of another type, or its data does not fit its dimensions.
    """
    found = reader.read(message, _TENSOR, "a tensor")
    if found.get(14, 0) != 0:
        refuse("holds a reference to external data")
    name = text(found.get(8), "a tensor")
    if found.get(2) not in _TYPES:
        refuse(f"holds a tensor {name!r} of a type that no bundle needs")
    kind, element_bytes, field = _TYPES[found[2]]
    dims = tuple(found.get(1, ()))
    elements = _elements(dims, element_bytes, name)
    stored = [number for number in (4, 5, 7, _RAW) if number in found]
    if stored == [_RAW]:
        fits = len(found[_RAW]) == elements * element_bytes
    elif stored == [field]:
        data = found[field]
        fits = (len(data) == elements * 4) if field == 4 else (count_varints(data) == elements)
    else:
        fits = not stored and elements == 0
    if not fits:
        refuse(f"holds a tensor {name!r} whose data does not fit its dimensions {list(dims)}")
    ints = None
    if kind == "int64" and elements <= 16:
        raw = found.get(_RAW)
        ints = struct.unpack(f"<{elements}q", raw) if raw is not None else _packed(found.get(7, memoryview(b"")))
    return Tensor(name, kind, dims, ints)


def _elements(dims: tuple[int, ...], element_bytes: int, name: str) -> int:
    elements = 1
    for dim in dims:
        elements *= dim
        if dim < 0 or elements * element_bytes > MAX_TENSOR_BYTES:
            refuse(f"holds a tensor {name!r} of an absurd size")
    if len(dims) > MAX_RANK:
        refuse(f"holds a tensor {name!r} of {len(dims)} dimensions")
    return elements


def _packed(data: memoryview) -> tuple[int, ...]:
    values, at = [], 0
    while at < len(data):
        value, at = varint(data, at)
        values.append(signed(value))
    return tuple(values)

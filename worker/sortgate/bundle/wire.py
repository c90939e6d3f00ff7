"""A reader of the protobuf wire format, strict where protobuf is lenient.

protobuf merges a repeated singular field and skips fields it does not know, so two readers can see two different
models in one file. Here a message has a schema, and whatever that does not say is refused.
The encoding: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from sortgate.errors import UnsafeModelError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

#: What a field may be, by field number: ``int``, ``fixed32`` or ``bytes`` once; ``*bytes`` any number of times;
#: ``ints`` and ``fixed32s`` repeated numbers, packed or not; ``!a thing`` is refused as "holds a thing".
Schema = Mapping[int, str]

_WIRE = {
    "int": {VARINT},
    "fixed32": {FIXED32},
    "bytes": {BYTES},
    "*bytes": {BYTES},
    "ints": {VARINT, BYTES},
    "fixed32s": {FIXED32, BYTES},
}
#: More fields than any bundle's model has; bounds the time that a hostile file can take.
MAX_FIELDS = 2_000_000
_CONTINUED = bytes(range(0x80, 0x100))


def refuse(why: str) -> NoReturn:
    """Raise :class:`UnsafeModelError`; ``why`` goes on from "the ONNX model"."""
    raise UnsafeModelError(f"the ONNX model {why}; it is not run: export it with `sortgate train`")


class WireReader:
    """Reads the messages of one file, counting their fields."""

    def __init__(self) -> None:
        self._left = MAX_FIELDS

    def read(self, message: memoryview, schema: Schema, what: str) -> dict[int, Any]:
        """Return field number → value: int, memoryview, or a list of them for a repeated field.

        Raises:
            UnsafeModelError: the message is malformed, or holds what the schema does not say; ``what`` names it.
        """
        found: dict[int, Any] = {}
        at, end = 0, len(message)
        while at < end:
            self._spend(1)
            key, at = varint(message, at)
            number, wire = key >> 3, key & 7
            kind = schema.get(number)
            if kind is None:
                refuse(f"has an unknown field {number} in {what}")
            if kind[0] == "!":
                refuse(f"holds {kind[1:]}")
            if wire not in _WIRE[kind]:
                refuse(f"is malformed in {what}")
            value: Any
            if wire == VARINT:
                value, at = varint(message, at)
            else:
                size = 4
                if wire == BYTES:
                    size, at = varint(message, at)
                if size > end - at:
                    refuse(f"is cut short in {what}")
                value = message[at : at + size]
                at += size
            if kind == "ints":
                found.setdefault(number, []).extend(self._ints(value))
            elif kind[0] == "*" or kind == "fixed32s":
                found.setdefault(number, []).append(value)
            elif number in found:
                refuse(f"has field {number} twice in {what}")
            else:
                found[number] = value
        return found

    def _ints(self, value: int | memoryview) -> list[int]:
        if isinstance(value, int):
            return [signed(value)]
        values, at = [], 0
        while at < len(value):
            self._spend(1)
            number, at = varint(value, at)
            values.append(signed(number))
        return values

    def _spend(self, fields: int) -> None:
        self._left -= fields
        if self._left < 0:
            refuse(f"has more than {MAX_FIELDS} fields")


def varint(message: memoryview, at: int) -> tuple[int, int]:
    """Return the varint at ``at``, at most 64 bits, and where it ends."""
    value = shift = 0
    end = len(message)
    while at < end and shift < 70:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >= 1 << 64:
                refuse("is malformed")
            return value, at
        shift += 7
    refuse("is malformed" if shift >= 70 else "is cut short")


def count_varints(packed: memoryview) -> int:
    """Return how many varints a packed field holds, at the speed of a copy."""
    if len(packed) and packed[-1] >= 0x80:
        refuse("is cut short")
    return len(packed.tobytes().translate(None, _CONTINUED))


def signed(value: int) -> int:
    """Return an int64 from its two's complement."""
    return value - (1 << 64) if value >= 1 << 63 else value


def text(value: memoryview | None, what: str) -> str:
    """Return a short string field, "" when it is absent."""
    if value is None:
        return ""
    if len(value) > 1_000:
        refuse(f"has a name of more than 1000 bytes in {what}")
    try:
        return value.tobytes().decode()
    except UnicodeDecodeError:
        refuse(f"is malformed in {what}")

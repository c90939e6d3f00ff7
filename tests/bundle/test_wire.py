"""The protobuf reader: reads what protobuf writes, and refuses what protobuf would quietly merge or skip."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import AttributeProto, TensorProto

from sortgate.bundle import wire
from sortgate.bundle.wire import WireReader, count_varints, signed, varint
from sortgate.errors import UnsafeModelError

SCHEMA = {1: "int", 2: "bytes", 3: "*bytes", 4: "ints", 5: "fixed32", 6: "!a surprise"}


def read(data: bytes) -> dict[int, object]:
    return WireReader().read(memoryview(data), SCHEMA, "a test")


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20))
def test_numbers_are_read_as_protobuf_writes_them(numbers: list[int]) -> None:
    attribute = AttributeProto(ints=numbers, i=numbers[0] if numbers else 0).SerializeToString()
    found = WireReader().read(memoryview(attribute), {3: "int", 8: "ints"}, "an attribute")
    assert found.get(8, []) == numbers
    assert signed(found[3]) == (numbers[0] if numbers else 0)
    packed = TensorProto(int64_data=numbers).SerializeToString()
    fields = WireReader().read(memoryview(packed), {7: "bytes"}, "a tensor")
    assert count_varints(fields.get(7, memoryview(b""))) == len(numbers)
    assert WireReader().read(memoryview(packed), {7: "ints"}, "a tensor").get(7, []) == numbers


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\x08\x01\x08\x02", "field 1 twice"),
        (b"\x12\x00\x12\x00", "field 2 twice"),
        (b"\x38\x01", "unknown field 7"),
        (b"\x00\x01", "unknown field 0"),
        (b"\x0b", "malformed"),  # a group
        (b"\x0d\x00\x00\x00\x00", "malformed"),  # field 1 as fixed32
        (b"\x12\x05abc", "cut short"),
        (b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "cut short"),
        (b"\x2d\x00", "cut short"),
        (b"\x08", "cut short"),
        (b"\x08\x80", "cut short"),
        (b"\x08" + b"\xff" * 9 + b"\x7f", "malformed"),  # more than 64 bits
        (b"\x08" + b"\x80" * 11 + b"\x00", "malformed"),
        (b"\x30\x01", "holds a surprise"),
        (b"\x22\x01\x80", "cut short"),
    ],
)
def test_everything_else_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(UnsafeModelError, match=says):
        read(data)


def test_the_number_of_fields_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_FIELDS", 100)
    assert len(read(b"\x1a\x00" * 100)[3]) == 100  # type: ignore[arg-type]
    with pytest.raises(UnsafeModelError, match="100 fields"):
        read(b"\x1a\x00" * 101)
    with pytest.raises(UnsafeModelError, match="100 fields"):
        read(b"\x22\x7f" + b"\x01" * 127)


def test_a_varint_may_have_64_bits() -> None:
    assert varint(memoryview(b"\xff" * 9 + b"\x01"), 0) == (2**64 - 1, 10)
    assert signed(2**64 - 1) == -1

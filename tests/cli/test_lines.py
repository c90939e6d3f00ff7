"""Reading lines: numbered, in order, each bad one alone, nothing held back."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sortgate.cli.lines import MAX_LINE_BYTES, Line, open_lines, read_lines
from sortgate.errors import DataError


def read(data: bytes, form: str = "text", field: str = "text", chunk: int = 1024) -> list[Line]:
    with io.BufferedReader(io.BytesIO(data)) as file:
        return [line for lines in read_lines(file, form, field, chunk) for line in lines]  # type: ignore[arg-type]


@given(st.lists(st.text(st.characters(exclude_characters="\n\r\ufeff", exclude_categories=["Cs"])), max_size=30),
       st.integers(1, 5), st.booleans())  # fmt: skip
def test_text_lines(texts: list[str], chunk: int, closed: bool) -> None:
    data = "\n".join(texts).encode() + (b"\n" if closed and texts else b"")
    expected = texts if closed or not texts or texts[-1] else texts[:-1]  # an empty rest is no line
    assert read(data, chunk=chunk) == [Line(number, text) for number, text in enumerate(expected, 1)]


def test_windows_line_ends_and_byte_order_mark() -> None:
    assert [line.text for line in read(b"\xef\xbb\xbfone\r\ntwo\r\n")] == ["one", "two"]


def test_bad_lines_are_errors_with_their_number() -> None:
    lines = read(b"good\n\xff\xfe\ngood again")
    assert [line.text for line in lines] == ["good", None, "good again"]
    assert lines[1].error is not None
    assert (lines[1].error.code, lines[1].error.message) == ("not_utf8", "line 2: not UTF-8 at byte 1")


def test_json_lines() -> None:
    lines = read(
        b'{"id": 7, "body": "x"}\n"just a string"\n{"text": "y"}\n[1]\n{"body"\n\n{"body": 5, "id": "k"}\n'
        + b"[" * 9000,
        "jsonl",
        "body",
    )
    assert [line.text for line in lines] == ["x", "just a string", None, None, None, None, None, None]
    assert [line.error.code if line.error else None for line in lines] == [
        None, None, "no_text", "not_json", "not_json", "not_json", "no_text", "not_json",
    ]  # fmt: skip
    assert [line.id for line in lines] == [7, None, None, None, None, None, "k", None]
    assert all(line.error.message.startswith(f"line {line.number}: ") for line in lines if line.error)


@pytest.mark.parametrize("ending", [b"", b"\nlast"])
def test_endless_lines_take_no_endless_memory(ending: bytes) -> None:
    lines = read(b"first\n" + b"x" * (3 * MAX_LINE_BYTES) + ending)
    assert [line.error.code if line.error else line.text for line in lines] == [
        "first", "line_too_long", *(["last"] if ending else []),
    ]  # fmt: skip


def test_a_line_that_just_fits() -> None:
    lines = read(b"x" * MAX_LINE_BYTES + b"\n" + b"y" * (MAX_LINE_BYTES + 1) + b"\nz\n")
    assert [len(line.text or "") for line in lines] == [MAX_LINE_BYTES, 0, 1]


def test_a_pipe_is_read_as_it_fills() -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as file:
        os.write(writer, b"one\ntw")
        chunks = read_lines(file, "text")
        assert next(chunks) == [Line(1, "one")]
        os.write(writer, b"o\n")
        assert next(chunks) == [Line(2, "two")]
        os.close(writer)
        assert list(chunks) == []


@pytest.mark.parametrize("name", ["absent.txt", "a\0b", "."])
def test_what_cannot_be_read_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError) as caught, open_lines(str(tmp_path / name)) as file:
        list(read_lines(file, "text"))
    assert "\n" not in str(caught.value)

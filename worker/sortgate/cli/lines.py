"""Texts from a file or pipe, a line each, as they arrive; a bad line becomes an error and its neighbours are read."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import msgspec

from sortgate.errors import DataError
from sortgate.types import PredictionError

#: Longer lines are an error each; bounds the memory a file without line breaks takes.
MAX_LINE_BYTES = 1 << 20
_READ_BYTES = 1 << 18
_BOM = b"\xef\xbb\xbf"

Format = Literal["text", "jsonl"]

_COMPRESSED = {".gz": "zcat", ".zst": "zstdcat", ".bz2": "bzcat", ".xz": "xzcat"}
_TABLES = (".csv", ".tsv", ".parquet", ".xlsx")


class Line(NamedTuple):
    """One line: its number from 1, and its text or why it has none; ``id`` and ``meta`` are a JSON line's own."""

    number: int
    text: str | None
    error: PredictionError | None = None
    id: Any = None
    meta: Any = None


def format_of(source: str, given: Format | None) -> Format:
    """Return the format that was given, else what the file's name says.

    Raises:
        DataError: its name says that it is compressed, or a table, whose lines are no texts.
    """
    suffix = Path(source).suffix.lower()
    if suffix in _COMPRESSED:
        raise DataError(f"{source}: compressed; give what is in it: {_COMPRESSED[suffix]} {source} | sortgate … -")
    if given is None and suffix in _TABLES:
        raise DataError(
            f"{source}: a table, of which a line is no text; give its texts one a line, or as JSON lines "
            "(--format text takes its lines as they are)"
        )
    return given or ("jsonl" if suffix in (".jsonl", ".ndjson") else "text")


@contextmanager
def open_lines(source: str) -> Iterator[BufferedReader]:
    """Open a file, or standard input for ``-``, for reading bytes.

    Raises:
        DataError: it cannot be opened.
    """
    if source == "-":
        yield cast("BufferedReader", sys.stdin.buffer)
        return
    try:
        file = Path(source).open("rb")  # noqa: SIM115 - closed below
    except (OSError, ValueError) as error:
        raise DataError(f"{source}: {getattr(error, 'strerror', None) or error}; name a file of texts, or -") from None
    with file:
        yield file


def read_lines(file: BufferedReader, form: Format, field: str = "text", chunk: int = 1024) -> Iterator[list[Line]]:
    """Yield the lines in lists of at most ``chunk``; what a pipe has is not held back to fill a list.

    Raises:
        DataError: reading failed.
    """
    number = 0
    for lines in _raw_lines(file):
        for start in range(0, len(lines), chunk):
            part = lines[start : start + chunk]
            yield [_parse(raw, number + index, form, field) for index, raw in enumerate(part, 1)]
            number += len(part)


def _raw_lines(file: BufferedReader) -> Iterator[list[bytes | None]]:
    """Yield complete lines, without their ends, per read; None stands for one that is too long."""
    rest = b""
    too_long = False
    first = True
    while True:
        try:
            data = file.read1(_READ_BYTES)
        except OSError as error:
            raise DataError(f"{getattr(file, 'name', 'input')}: {error.strerror}") from None
        if first and data:
            data = data.removeprefix(_BOM)
            first = False
        *lines, tail = data.split(b"\n")
        found: list[bytes | None] = []
        if lines:
            lines[0] = rest + lines[0]
            found = [None if len(line) > MAX_LINE_BYTES else line.removesuffix(b"\r") for line in lines]
            if too_long:
                found[0] = None
            rest, too_long = tail, False
        else:
            rest += tail
        if len(rest) > MAX_LINE_BYTES:
            rest, too_long = b"", True
        if not data and (rest or too_long):
            found.append(None if too_long else rest.removesuffix(b"\r"))
        if found:
            yield found
        if not data:
            return


def _parse(raw: bytes | None, number: int, form: Format, field: str) -> Line:
    if raw is None:
        return _bad(number, "line_too_long", f"line {number}: more than {MAX_LINE_BYTES} bytes")
    if form == "text":
        try:
            return Line(number, raw.decode("utf-8"))
        except UnicodeDecodeError as error:
            return _bad(number, "not_utf8", f"line {number}: not UTF-8 at byte {error.start + 1}")
    if not raw.strip():
        return _bad(number, "not_json", f"line {number}: empty, where a JSON object or string is expected")
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return _bad(number, "not_json", f"line {number}: not JSON: {' '.join(str(error).split())}")
    if isinstance(value, str):
        return Line(number, value)
    if not isinstance(value, dict):
        return _bad(number, "not_json", f"line {number}: neither a JSON object nor a string")
    if not isinstance(value.get(field), str):
        state = "is not a string" if field in value else "is missing"
        return _bad(number, "no_text", f"line {number}: field {field!r} {state}", value.get("id"))
    return Line(number, value[field], None, value.get("id"), value.get("meta"))


def _bad(number: int, code: str, message: str, id_: Any = None) -> Line:
    return Line(number, None, PredictionError(code, message), id_)

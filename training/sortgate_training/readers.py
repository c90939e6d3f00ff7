"""Reads labelled texts from CSV (RFC 4180), TSV and JSON lines, plain or gzipped, row by row.

Errors name the row, counted from 1 without the header, and the line, so that an editor finds it.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from sortgate.errors import DataError
from sortgate_training.columns import TextAndLabel, choose_columns, choose_names

#: Suffixes, each with ``.gz`` too, and what separates the fields; None is JSON lines.
SUFFIXES: dict[str, str | None] = {".csv": ",", ".tsv": "\t", ".jsonl": None, ".ndjson": None}

#: A longer field means that a quote was left open.
MAX_FIELD_CHARACTERS = 16 * 2**20

Rows = list[tuple[str, str]]


class _BadLineError(Exception):
    """A line that is not UTF-8; its number is the argument."""


def read_rows(path: Path, text_column: str | None = None, label_column: str | None = None) -> tuple[Rows, list[str]]:
    """Return ``(text, label)`` pairs, and what a reader should know, such as columns that were guessed.

    Raises:
        DataError: missing or unreadable file, unknown kind, no such column, no rows, a row that is ragged,
            not UTF-8 or not JSON. One line; names the file, the row and what to do.
    """
    suffix = next((kind for kind in SUFFIXES if path.name.lower().endswith((kind, kind + ".gz"))), None)
    if path.is_dir():
        raise DataError(f"{path}: a folder where a file is needed")
    if suffix is None and path.exists():
        raise DataError(f"{path}: not a known kind of file; use .csv, .tsv or .jsonl, plain or .gz")
    with _open(path) as file:
        separator = SUFFIXES[suffix or ".csv"]
        if separator is None:
            rows, notes = _read_json_lines(path, file, text_column, label_column)
        elif separator == ",":
            rows, notes = _read_table(path, file, separator, text_column, label_column)
        else:
            try:
                rows, notes = _read_table(path, file, separator, text_column, label_column)
            except csv.Error:
                # The TSV of IANA has no quoting: a quote at the start of a field is a character like any other.
                file.seek(0)
                rows, notes = _read_table(path, file, separator, text_column, label_column, quoting=csv.QUOTE_NONE)
    if not rows:
        raise DataError(f"{path}: no rows in it")
    return rows, notes


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if packed:
                with gzip.open(raw) as file:
                    yield cast("BinaryIO", file)
            else:
                yield raw
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise DataError(f"{path}: damaged or cut short: not a complete gzip file") from None
    except csv.Error as error:
        raise DataError(f"{path}: {error}") from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or 'cannot be read'}") from None


def _lines(file: BinaryIO) -> Iterator[str]:
    for number, line in enumerate(file, 1):
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        try:
            yield line.decode()
        except UnicodeDecodeError:
            raise _BadLineError(number) from None


def _read_table(
    path: Path,
    file: BinaryIO,
    separator: str,
    text_column: str | None,
    label_column: str | None,
    quoting: int = csv.QUOTE_MINIMAL,
) -> tuple[Rows, list[str]]:
    csv.field_size_limit(MAX_FIELD_CHARACTERS)
    reader = csv.reader(_lines(file), delimiter=separator, strict=True, quoting=quoting)  # type: ignore[arg-type]
    table: list[list[str]] = []
    row, start = 0, 1
    try:
        for fields in reader:
            if fields:  # a blank line is no row
                if table and len(fields) != len(table[0]):
                    raise DataError(
                        f"{path}: row {row} (line {start}) has {len(fields)} fields where the header has "
                        f"{len(table[0])}; put quotes around fields that hold a separator or a line break"
                    )
                table.append(fields)
                row += 1
            start = reader.line_num + 1
    except _BadLineError as error:
        raise _not_utf8(path, row, cast("int", error.args[0])) from None
    except csv.Error as error:
        raise csv.Error(f"row {row} (line {start}): {error}; is a quote left open?") from None
    if not table:
        raise DataError(f"{path}: the file is empty")
    columns = choose_columns(path, table, text_column, label_column)
    body = table[1:] if columns.header else table
    return [(fields[columns.text], fields[columns.label]) for fields in body], columns.notes


def _read_json_lines(
    path: Path, file: BinaryIO, text_column: str | None, label_column: str | None
) -> tuple[Rows, list[str]]:
    rows: Rows = []
    names: TextAndLabel | None = None
    decoder = msgspec.json.Decoder(dict)
    number = 0
    try:
        for number, line in enumerate(_lines(file), 1):
            if not line.strip():
                continue
            try:
                item = decoder.decode(line)
            except (msgspec.MsgspecError, RecursionError):
                raise DataError(f"{path}: row {number} is not a JSON object") from None
            if names is None:
                names = choose_names(path, list(item), text_column, label_column)
            rows.append((_value(path, number, item, names.text), _value(path, number, item, names.label)))
    except _BadLineError as error:
        raise _not_utf8(path, number + 1, cast("int", error.args[0])) from None
    if names is None:
        raise DataError(f"{path}: the file is empty")
    return rows, []


def _value(path: Path, number: int, item: dict[str, object], name: str) -> str:
    if name not in item:
        raise DataError(f"{path}: row {number} has no {name!r}; it has {', '.join(map(repr, item)) or 'nothing'}")
    value = item[name]
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise DataError(f"{path}: row {number}: {name!r} must be a string or a number, not a list or an object")
    return str(value)


def _not_utf8(path: Path, row: int, line: int) -> DataError:
    where = f"row {row}" if row else "the header"
    return DataError(f"{path}: {where} (line {line}) is not UTF-8; save the file as UTF-8")

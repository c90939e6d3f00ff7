"""Reads labelled texts row by row: CSV (RFC 4180), TSV, JSON lines, Parquet and fastText, plain or compressed.

Errors name the row, counted from 1 without the header, and the line, so that an editor finds it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from sortgate.errors import DataError
from sortgate_training.readers.added import added_names, added_suffix, read_added, read_added_texts
from sortgate_training.readers.delimited import header_names, read_column, read_table
from sortgate_training.readers.files import open_text_file
from sortgate_training.readers.lines import (
    Label,
    Row,
    json_names,
    read_fasttext,
    read_json_lines,
    read_json_texts,
    read_plain_texts,
)
from sortgate_training.readers.parquet import parquet_names, read_parquet, read_parquet_texts

__all__ = ["PACKED", "SUFFIXES", "Label", "Row", "read_column_names", "read_rows", "read_texts"]

#: How names of known files end; all but Parquet, which is compressed inside, may be packed.
SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".txt", ".ft")
PACKED = (".gz", ".zst")


def read_rows(
    path: Path, text_column: str | None = None, label_column: str | None = None
) -> tuple[list[Row], list[str]]:
    """Return ``(text, label)`` pairs, and what a reader should know, such as columns that were guessed.

    A label is a string, or a tuple of strings where the file holds a list (JSON, Parquet) or several
    ``__label__`` (fastText); only the two columns are kept in memory, and equal labels once.

    Raises:
        DataError: missing or unreadable file, unknown kind, no such column, no rows, a row that is ragged,
            not UTF-8 or not JSON. One line; names the file, the row and what to do.
    """
    kind = _kind(path)
    rows, notes = _read(path, kind, text_column, label_column)
    if not rows:
        raise DataError(f"{path}: no rows in it")
    return rows, notes


def read_texts(path: Path, text_column: str | None = None) -> list[str]:
    """Return the texts alone, of a file that :func:`read_rows` takes, or of one without labels.

    That may be a table with one column, or a ``.txt`` file with a text a line.

    Raises:
        DataError: as for :func:`read_rows`.
    """
    kind = _kind(path)
    if kind == ".parquet":
        texts = list(read_parquet_texts(path, text_column))
    elif kind not in SUFFIXES:
        texts = list(read_added_texts(path, kind, text_column))
    else:
        texts = _read_texts(path, kind, text_column)
    if not texts:
        raise DataError(f"{path}: no rows in it")
    return texts


def read_column_names(path: Path) -> list[str]:
    """Return the names in the header, or in the first JSON object; none for fastText, which has no columns.

    Raises:
        DataError: see :func:`read_rows`.
    """
    kind = _kind(path)
    if kind == ".parquet":
        return parquet_names(path)
    if kind not in SUFFIXES:
        return added_names(path, kind)
    with open_text_file(path) as file:
        if kind in {".jsonl", ".ndjson"}:
            return json_names(path, file)
        if kind in {".txt", ".ft"}:
            return []
        if kind == ".csv":
            return header_names(path, file, ",")
        try:
            return header_names(path, file, "\t")
        except csv.Error:
            pass
    with open_text_file(path) as file:
        return header_names(path, file, "\t", quoting=csv.QUOTE_NONE)


def _kind(path: Path) -> str:
    """Return the suffix that says how the file is read: one of ``SUFFIXES``, or one that a plugin has added."""
    if path.is_dir():
        raise DataError(f"{path}: a folder where a file is needed")
    name = path.name.lower()
    plain = name.removesuffix(next((packed for packed in PACKED if name.endswith(packed)), ""))
    kind = next((suffix for suffix in SUFFIXES if plain.endswith(suffix)), None)
    if kind == ".parquet" and plain != name:
        raise DataError(f"{path}: Parquet is compressed inside already; unpack the file")
    if kind is None and path.exists():
        kind = added_suffix(path)
    if kind is None and path.exists():
        raise DataError(
            f"{path}: not a known kind of file; use .csv, .tsv, .jsonl, .parquet or .txt (fastText), plain, .gz or "
            ".zst, or install a plugin that reads it"
        )
    return kind or ".csv"


def _read(path: Path, kind: str, text_column: str | None, label_column: str | None) -> tuple[list[Row], list[str]]:
    if kind == ".parquet":
        return _shared(read_parquet(path, text_column, label_column)), []
    if kind not in SUFFIXES:
        return _shared(read_added(path, kind, text_column, label_column)), []
    with open_text_file(path) as file:
        if kind in {".jsonl", ".ndjson"}:
            return _shared(read_json_lines(path, file, text_column, label_column)), []
        if kind in {".txt", ".ft"}:
            return _shared(read_fasttext(path, file)), []
        if kind == ".csv":
            return read_table(path, file, ",", text_column, label_column)
        try:
            return read_table(path, file, "\t", text_column, label_column)
        except csv.Error:
            pass
    # The TSV of IANA has no quoting: a quote at the start of a field is a character like any other.
    with open_text_file(path) as file:
        return read_table(path, file, "\t", text_column, label_column, quoting=csv.QUOTE_NONE)


def _shared(rows: Iterable[Row]) -> list[Row]:
    """Return the rows, in which equal labels are one object."""
    known: dict[Label, Label] = {}
    return [(text, known.setdefault(label, label)) for text, label in rows]


def _read_texts(path: Path, kind: str, text_column: str | None) -> list[str]:
    with open_text_file(path) as file:
        if kind in {".jsonl", ".ndjson"}:
            return list(read_json_texts(path, file, text_column))
        if kind in {".txt", ".ft"}:
            return list(read_plain_texts(path, file))
        if kind == ".csv":
            return read_column(path, file, ",", text_column)
        try:
            return read_column(path, file, "\t", text_column)
        except csv.Error:
            pass
    with open_text_file(path) as file:
        return read_column(path, file, "\t", text_column, csv.QUOTE_NONE)

"""CSV and TSV: of each row only the text and the label are kept.

A ``.csv`` whose first line has semicolons or tabs and no comma is read by these: spreadsheets write such files where
the comma is the decimal mark.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Literal, cast

from sortgate.errors import DataError
from sortgate_training.columns import choose_by_values, choose_names, choose_text, told_by_values
from sortgate_training.readers.files import BadLineError, decoded_lines, not_utf8
from sortgate_training.readers.lines import Row

#: What :mod:`csv` calls it.
Quoting = Literal[0, 1, 2, 3]
#: A longer field means that a quote was left open.
MAX_FIELD_CHARACTERS = 16 * 2**20


def read_table(
    path: Path,
    file: BinaryIO,
    separator: str,
    text_column: str | None,
    label_column: str | None,
    quoting: Quoting = csv.QUOTE_MINIMAL,
) -> tuple[list[Row], list[str]]:
    """Return the rows, and how the columns were guessed.

    Raises:
        DataError: see :func:`sortgate_training.readers.read_rows`.
        csv.Error: a quote is left open or misplaced.
    """
    records = _records(path, file, separator, quoting)
    first = next(records)
    header = [name.strip() for name in first]
    shared: dict[str, str] = {}
    if not told_by_values(path, header, text_column, label_column):
        chosen = choose_names(path, header, text_column, label_column)
        text, label = header.index(chosen.text), header.index(chosen.label)
        return [(fields[text], shared.setdefault(fields[label], fields[label])) for fields in records], []
    pairs = [(left, right) for left, right in records]
    columns = choose_by_values(path, first, pairs)
    if not columns.header:
        pairs.insert(0, (first[0], first[1]))
    text, label = columns.text, columns.label
    return [(pair[text], shared.setdefault(pair[label], pair[label])) for pair in pairs], columns.notes


def read_column(
    path: Path, file: BinaryIO, separator: str, text_column: str | None, quoting: Quoting = csv.QUOTE_MINIMAL
) -> list[str]:
    """Return the texts alone; the first row is the header.

    Raises:
        DataError: see :func:`sortgate_training.readers.read_texts`.
        csv.Error: a quote is left open or misplaced.
    """
    records = _records(path, file, separator, quoting)
    header = [name.strip() for name in next(records)]
    at = header.index(choose_text(path, header, text_column))
    return [fields[at] for fields in records]


def header_names(path: Path, file: BinaryIO, separator: str, quoting: Quoting = csv.QUOTE_MINIMAL) -> list[str]:
    """Return the first row, which is the header if there is one.

    Raises:
        DataError: see :func:`sortgate_training.readers.read_rows`.
    """
    return [name.strip() for name in next(_records(path, file, separator, quoting))]


def _records(path: Path, file: BinaryIO, separator: str, quoting: Quoting) -> Iterator[list[str]]:
    """Yield the header, then the rows; each has as many fields as the header."""
    csv.field_size_limit(MAX_FIELD_CHARACTERS)
    row, start, width = 0, 1, 0
    try:
        lines = decoded_lines(file)
        first = next((line for line in lines if line.strip()), "")
        if separator == "," and "," not in first:
            separator = next((other for other in ";\t" if other in first), ",")
        reader = csv.reader(chain([first], lines), delimiter=separator, strict=True, quoting=quoting)
        for fields in reader:
            if fields:  # a blank line is no row
                width = width or len(fields)
                if len(fields) != width:
                    raise DataError(
                        f"{path}: row {row} (line {start}) has {len(fields)} fields where the header has "
                        f"{width}; put quotes around fields that hold a separator or a line break"
                    )
                yield fields
                row += 1
            start = reader.line_num + 1
    except BadLineError as error:
        raise not_utf8(path, row, cast("int", error.args[0])) from None
    except csv.Error as error:
        raise csv.Error(f"row {row} (line {start}): {error}; is a quote left open?") from None
    if not row:
        raise DataError(f"{path}: the file is empty")

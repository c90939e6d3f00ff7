"""Formats of one text a line: JSON lines and fastText."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from sortgate.errors import DataError
from sortgate_training.columns import TextAndLabel, choose_names, choose_text
from sortgate_training.readers.files import BadLineError, decoded_lines, not_utf8

#: One label, or the list that the file holds.
Label = str | tuple[str, ...]
Row = tuple[str, Label]
#: Where each item stands, in words, and its values by column.
Items = Iterable[tuple[str, Mapping[str, object]]]

_FASTTEXT_LABEL = re.compile(r"(?<!\S)__label__(\S+)\s*")


def read_json_lines(path: Path, file: BinaryIO, text_column: str | None, label_column: str | None) -> Iterator[Row]:
    """Yield the rows; a list of labels becomes a tuple.

    Raises:
        DataError: see :func:`sortgate_training.readers.read_rows`.
    """
    yield from labelled(path, _objects(path, file), text_column, label_column)


def read_json_texts(path: Path, file: BinaryIO, text_column: str | None) -> Iterator[str]:
    """Yield the texts alone, of objects that may have labels.

    Raises:
        DataError: see :func:`sortgate_training.readers.read_texts`.
    """
    yield from texts_alone(path, _objects(path, file), text_column)


def labelled(path: Path, items: Items, text_column: str | None, label_column: str | None) -> Iterator[Row]:
    """Yield the rows of items that have their columns by name.

    Raises:
        DataError: an item lacks a column, or holds there what is no text or label.
    """
    names: TextAndLabel | None = None
    for where, item in items:
        if names is None:
            names = choose_names(path, list(item), text_column, label_column)
        _check_names(where, item, (names.text, names.label))
        yield text_of(where, names.text, item[names.text]), label_of(where, names.label, item[names.label])


def texts_alone(path: Path, items: Items, text_column: str | None) -> Iterator[str]:
    """Yield the texts of items that may have labels.

    Raises:
        DataError: as :func:`labelled`.
    """
    name: str | None = None
    for where, item in items:
        name = name or choose_text(path, list(item), text_column)
        _check_names(where, item, (name,))
        yield text_of(where, name, item[name])


def read_plain_texts(path: Path, file: BinaryIO) -> Iterator[str]:
    """Yield each line that is not blank, without fastText's labels.

    Raises:
        DataError: not UTF-8, or no such line.
    """
    for _, _, content in _numbered(path, file):
        yield _FASTTEXT_LABEL.sub("", content).strip()


def json_names(path: Path, file: BinaryIO) -> list[str]:
    """Return the names in the first object.

    Raises:
        DataError: it is none.
    """
    return list(next(_objects(path, file))[1])


def read_fasttext(path: Path, file: BinaryIO) -> Iterator[Row]:
    """Yield the rows: words that begin with ``__label__`` are labels, wherever they stand, as in fastText itself.

    Several of them become a tuple.

    Raises:
        DataError: not UTF-8, or no label in the first line, so that it is some other kind of text.
    """
    for row, line, content in _numbered(path, file):
        labels = _FASTTEXT_LABEL.findall(content)
        if row == 1 and not labels:
            raise DataError(
                f"{path}: row 1 (line {line}) has no __label__NAME: a .txt file must be fastText's; "
                "use .csv, .tsv or .jsonl for others"
            )
        label = tuple(labels) if len(labels) > 1 else "".join(labels)
        yield _FASTTEXT_LABEL.sub("", content).strip(), label


def text_of(where: str, name: str, value: object) -> str:
    """Return a scalar as text, null as the empty text.

    Raises:
        DataError: it is something else; begins with ``where``.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise DataError(f"{where}: {name!r} must be a string or a number, not a list or an object")
    return str(value)


def label_of(where: str, name: str, value: object) -> Label:
    """Return a scalar as text, a list as a tuple of texts; null is the empty text.

    Raises:
        DataError: it is something else; begins with ``where``.
    """
    if isinstance(value, list):
        if not all(isinstance(entry, str | int | float) for entry in value):
            raise DataError(f"{where}: {name!r} must be a list of strings or numbers")
        return tuple(text_of(where, name, entry) for entry in cast("Iterable[object]", value))
    return text_of(where, name, value)


def _objects(path: Path, file: BinaryIO) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield where each line's object stands, in words, and the object."""
    decoder = msgspec.json.Decoder(dict[str, object])
    for row, line, content in _numbered(path, file):
        where = f"{path}: row {row} (line {line})"
        try:
            yield where, decoder.decode(content)
        except (msgspec.MsgspecError, RecursionError):
            raise DataError(f"{where} is not a JSON object") from None


def _check_names(where: str, item: Mapping[str, object], names: Iterable[str]) -> None:
    for name in names:
        if name not in item:
            raise DataError(f"{where} has no {name!r}; it has {', '.join(map(repr, item)) or 'nothing'}")


def _numbered(path: Path, file: BinaryIO) -> Iterator[tuple[int, int, str]]:
    """Yield row, line and content of each line that is not blank."""
    row, line = 0, 0
    try:
        for line, content in enumerate(decoded_lines(file), 1):
            if content.strip():
                row += 1
                yield row, line, content
    except BadLineError as error:
        raise not_utf8(path, row + 1, cast("int", error.args[0])) from None
    if not row:
        raise DataError(f"{path}: the file is empty")

"""Readers of data files that plugins add: asked for only when a file of an unknown kind is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from sortgate.errors import DataError
from sortgate.plugins.specs import RowReader
from sortgate_training.readers.lines import Row, labelled, texts_alone

#: Suffix to what reads such files, and the plugin that it comes from.
Readers = Mapping[str, tuple[RowReader, object]]

#: Loads the readers of plugins. A command sets it, since it knows which plugins may be loaded.
load_readers: ContextVar[Callable[[], Readers]] = ContextVar("load_readers", default=dict)


def added_suffix(path: Path) -> str | None:
    """Return the suffix of ``path`` when a plugin reads such files."""
    suffix = path.suffix.lower()
    return suffix if suffix and suffix in load_readers.get()() else None


def read_added(path: Path, suffix: str, text_column: str | None, label_column: str | None) -> Iterator[Row]:
    """Yield the rows; a list of labels becomes a tuple.

    Raises:
        DataError: the file cannot be read, the plugin's reader failed, or a row lacks a column.
    """
    yield from labelled(path, _rows(path, suffix), text_column, label_column)


def read_added_texts(path: Path, suffix: str, text_column: str | None) -> Iterator[str]:
    """Yield the texts alone, of rows that may have labels.

    Raises:
        DataError: as :func:`read_added`.
    """
    yield from texts_alone(path, _rows(path, suffix), text_column)


def added_names(path: Path, suffix: str) -> list[str]:
    """Return the names in the first row.

    Raises:
        DataError: as :func:`read_added`, or there is none.
    """
    for _, row in _rows(path, suffix):
        return list(row)
    raise DataError(f"{path}: no rows in it")


def _rows(path: Path, suffix: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield where each row stands, in words, and the row."""
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    reader, source = load_readers.get()()[suffix]
    number = 0
    try:
        for number, row in enumerate(reader(path), 1):
            where = f"{path}: row {number}"
            if not isinstance(row, Mapping) or not all(isinstance(name, str) for name in row):
                raise DataError(f"{where}: the reader of {source} gave {type(row).__name__}, not columns by name")
            yield where, row
    except DataError:
        raise
    except (OSError, ImportError) as error:  # their messages name a file or a library
        raise DataError(f"{path}: the reader of {source} failed: {' '.join(str(error).split())}") from error
    except (Exception, SystemExit) as error:  # a message may hold a row
        after = f" after row {number}" if number else ""
        raise DataError(f"{path}: the reader of {source} failed{after}: {type(error).__name__}") from error

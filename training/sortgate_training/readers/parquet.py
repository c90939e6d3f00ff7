"""Parquet files, by pyarrow, which only they need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sortgate.errors import DataError
from sortgate_training.columns import choose_names, choose_text
from sortgate_training.readers.lines import Row, label_of, text_of

#: Rows turned into Python objects at a time.
_ROWS = 4_096


def read_parquet(path: Path, text_column: str | None, label_column: str | None) -> Iterator[Row]:
    """Yield the rows; of the file only the two columns are read.

    Raises:
        DataError: pyarrow is not installed, or see :func:`sortgate_training.readers.read_rows`.
    """
    parquet, failure = _library(path)
    try:
        with path.open("rb") as raw, parquet.ParquetFile(raw) as file:
            names = choose_names(path, file.schema_arrow.names, text_column, label_column)
            row = 0
            for batch in file.iter_batches(_ROWS, columns=[names.text, names.label]):
                texts, labels = batch.column(names.text), batch.column(names.label)
                for text, label in zip(texts, labels, strict=True):
                    row += 1
                    where = f"{path}: row {row}"
                    yield (
                        text_of(where, names.text, _value(where, names.text, text)),
                        label_of(where, names.label, _value(where, names.label, label)),
                    )
    except failure as error:
        raise _damaged(path, error) from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or 'cannot be read'}") from None


def read_parquet_texts(path: Path, text_column: str | None) -> Iterator[str]:
    """Yield the texts alone.

    Raises:
        DataError: as for :func:`read_parquet`.
    """
    parquet, failure = _library(path)
    try:
        with path.open("rb") as raw, parquet.ParquetFile(raw) as file:
            name = choose_text(path, file.schema_arrow.names, text_column)
            values = (value for batch in file.iter_batches(_ROWS, columns=[name]) for value in batch.column(name))
            for row, value in enumerate(values, 1):
                where = f"{path}: row {row}"
                yield text_of(where, name, _value(where, name, value))
    except failure as error:
        raise _damaged(path, error) from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or 'cannot be read'}") from None


def parquet_names(path: Path) -> list[str]:
    """Return the names of all columns.

    Raises:
        DataError: as for :func:`read_parquet`.
    """
    parquet, failure = _library(path)
    try:
        with path.open("rb") as raw, parquet.ParquetFile(raw) as file:
            return [str(name) for name in file.schema_arrow.names]
    except failure as error:
        raise _damaged(path, error) from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or 'cannot be read'}") from None


def _library(path: Path) -> tuple[Any, type[Exception]]:
    """Return pyarrow's Parquet module, and what it raises."""
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise DataError(f'{path}: to read Parquet: pip install "sortgate-training[parquet]"') from None
    return parquet, ArrowException


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"{path}: not a complete Parquet file ({' '.join(str(error).split())[:120]})")


def _value(where: str, name: str, scalar: Any) -> object:
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        raise DataError(f"{where}: {name!r} is not UTF-8") from None

"""Parquet files, by pyarrow, which only they need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sortgate.errors import DataError
from sortgate_training.columns import choose_names
from sortgate_training.readers.lines import Row, label_of, text_of

#: Rows turned into Python objects at a time.
_ROWS = 4_096


def read_parquet(path: Path, text_column: str | None, label_column: str | None) -> Iterator[Row]:
    """Yield the rows; of the file only the two columns are read.

    Raises:
        DataError: pyarrow is not installed, or see :func:`sortgate_training.readers.read_rows`.
    """
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise DataError(f'{path}: to read Parquet: pip install "sortgate-training[parquet]"') from None
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
    except ArrowException as error:
        raise DataError(f"{path}: not a complete Parquet file ({' '.join(str(error).split())[:120]})") from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or 'cannot be read'}") from None


def _value(where: str, name: str, scalar: Any) -> object:
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        raise DataError(f"{where}: {name!r} is not UTF-8") from None

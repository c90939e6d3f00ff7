"""The texts to check with the numbers of their rows, and the columns that they were read from."""

from __future__ import annotations

import csv
import gzip
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from sortgate.errors import DataError
from sortgate_training.checks.findings import Example, PartReport, shorten
from sortgate_training.columns import choose_columns, choose_names
from sortgate_training.readers import SUFFIXES, read_rows


@dataclass
class Part:
    """Rows of one file that have a text and a label.

    Attributes:
        numbers: each text's row, from 1 on and without the header.
        empty: rows without a text.
        unlabelled: rows with a text, but without a label.
        notes: what the reader has to say.
    """

    report: PartReport
    texts: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    empty: list[int] = field(default_factory=list)
    unlabelled: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """``train``, ``validation`` or ``test``."""
        return self.report.part

    def __len__(self) -> int:
        """Count of texts."""
        return len(self.texts)

    def example(self, *indices: int, detail: str = "") -> Example:
        """Return the texts at ``indices``, of which the first is shown."""
        return Example(self.name, [self.numbers[index] for index in indices], shorten(self.texts[indices[0]]), detail)


def read_part(name: str, path: Path, text_column: str | None, label_column: str | None) -> Part:
    """Read a file.

    Raises:
        DataError: see :func:`sortgate_training.readers.read_rows`.
    """
    rows, notes = read_rows(path, text_column, label_column)
    columns, text, label = _columns(path, text_column, label_column)
    report = PartReport(name, path.name.encode("utf-8", "replace").decode(), columns, text, label, len(rows))
    part = Part(report, notes=notes)
    for number, (content, given) in enumerate(rows, 1):
        if not content.strip():
            part.empty.append(number)
        elif not given.strip():
            part.unlabelled.append(number)
        else:
            part.texts.append(content)
            part.labels.append(given.strip())
            part.numbers.append(number)
    report.texts = len(part)
    if not part.texts:
        raise DataError(f"{path}: no labelled text in it ({len(rows)} rows, all without a text or a label)")
    return part


def _columns(path: Path, text: str | None, label: str | None) -> tuple[list[str], str, str]:
    """Return the names of all columns, of the text's and of the label's; the file is known to be readable."""
    suffix = next(kind for kind in SUFFIXES if path.name.lower().endswith((kind, kind + ".gz")))
    separator = SUFFIXES[suffix]
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
    with (
        gzip.open(path) if packed else path.open("rb") as binary,
        io.TextIOWrapper(cast("BinaryIO", binary), encoding="utf-8-sig", newline="") as file,
    ):
        if separator is None:
            names = list(msgspec.json.decode(next(line for line in file if line.strip()), type=dict))
            chosen = choose_names(path, names, text, label)
            return names, chosen.text, chosen.label
        try:
            table = [fields for fields in csv.reader(file, delimiter=separator, strict=True) if fields]
        except csv.Error:  # a TSV without quoting
            file.seek(0)
            table = [fields for fields in csv.reader(file, delimiter=separator, quoting=csv.QUOTE_NONE) if fields]
    found = choose_columns(path, table, text, label)
    names = table[0] if found.header else [str(number) for number in range(1, len(table[0]) + 1)]
    return [name.strip() for name in names], names[found.text].strip(), names[found.label].strip()

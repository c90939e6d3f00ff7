"""The texts to check with the numbers of their rows, and the columns that they were read from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sortgate.errors import DataError
from sortgate_training.checks.findings import Example, PartReport, shorten
from sortgate_training.columns import choose_names, told_by_values
from sortgate_training.data import source_of
from sortgate_training.labelling import LabelSet, is_multi_label, label_set
from sortgate_training.readers import Label, read_column_names, read_rows


@dataclass
class Part:
    """Rows of one file that have a text and a label, or a set of labels.

    Attributes:
        labels: each text's label; of a set, its labels in one string.
        sets: each text's labels where it may have several.
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
    sets: list[LabelSet] | None = None

    @property
    def label_sets(self) -> list[LabelSet]:
        """Each text's labels, whether or not it may have several."""
        return [(label,) for label in self.labels] if self.sets is None else self.sets

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


def read_part(
    name: str,
    paths: Sequence[Path],
    text_column: str | None,
    label_column: str | None,
    label_separator: str | None = None,
) -> Part:
    """Read files as one; rows are counted on from one to the next.

    Raises:
        DataError: see :func:`sortgate_training.readers.read_rows`.
    """
    columns, text, label = _columns(paths[0], text_column, label_column)
    part = Part(PartReport(name, source_of(paths), columns, text, label))
    rows: list[tuple[str, Label]] = []
    for path in paths:
        read, notes = read_rows(path, text_column, label_column)
        part.notes += notes
        rows += read
    several = is_multi_label((given for _, given in rows), label_separator)
    sets: list[LabelSet] = []
    for number, (content, given) in enumerate(rows, 1):
        names = label_set(given, label_separator)
        if not content.strip():
            part.empty.append(number)
        elif names is None:
            part.unlabelled.append(number)
        else:
            part.texts.append(content)
            sets.append(names)
            part.numbers.append(number)
    part.labels = [", ".join(names) or "no label" for names in sets]
    part.sets = sets if several else None
    part.report.rows, part.report.texts = len(rows), len(part)
    if not part.texts:
        raise DataError(f"{paths[0]}: no labelled text in it ({part.report.rows} rows, all without a text or a label)")
    return part


def _columns(path: Path, text: str | None, label: str | None) -> tuple[list[str], str, str]:
    """Return the names of all columns, of the text's and of the label's.

    Columns that only their values told apart have numbers, and a note says which is which.
    """
    names = read_column_names(path)
    if not names:
        return [], "", ""
    if told_by_values(path, names, text, label):
        return ["1", "2"], "", ""
    chosen = choose_names(path, names, text, label)
    return names, chosen.text, chosen.label

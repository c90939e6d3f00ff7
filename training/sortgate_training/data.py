"""What is learned from: labelled texts of one file or a folder, cleaned, with everything that was left out counted."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sortgate.errors import DataError
from sortgate_training.readers import SUFFIXES, read_rows

#: Names under which a folder's files are looked for.
PARTS: dict[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test",),
}


@dataclass(frozen=True)
class Corpus:
    """Labelled texts, in the file's order.

    Attributes:
        source: what the texts were read from, for messages and the manifest; never a whole path.
        facts: counts of what was found, for the manifest.
        notes: the same in sentences, where a reader should know.
    """

    texts: list[str]
    labels: list[str]
    source: str
    facts: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        """Count of texts."""
        return len(self.texts)

    def select(self, rows: Sequence[int], source: str) -> Corpus:
        """Return some of the texts as a corpus of their own."""
        texts, labels = [self.texts[row] for row in rows], [self.labels[row] for row in rows]
        return Corpus(texts, labels, source, self.facts, self.notes if source == self.source else [])


@dataclass(frozen=True)
class DataFiles:
    """The files of one data set."""

    train: Path
    validation: Path | None = None
    test: Path | None = None


def find_files(data: Path, validation: Path | None = None, test: Path | None = None) -> DataFiles:
    """Return the files meant: ``data`` itself, or the train, validation and test files of that folder.

    Raises:
        DataError: a folder without a train file, or with two.
    """
    if not data.is_dir():
        return DataFiles(data, validation, test)
    train = find_part(data, "train")
    if train is None:
        raise DataError(f"{data}: no train file in this folder; name it train.csv, train.tsv or train.jsonl (or .gz)")
    return DataFiles(train, validation or find_part(data, "validation"), test or find_part(data, "test"))


def find_part(folder: Path, part: str) -> Path | None:
    """Return the folder's file for ``part``, a key of ``PARTS``; None when there is none.

    Raises:
        DataError: more than one file could be meant.
    """
    found = [
        folder / f"{name}{suffix}{packed}"
        for name in PARTS[part]
        for suffix in SUFFIXES
        for packed in ("", ".gz")
        if (folder / f"{name}{suffix}{packed}").is_file()
    ]
    if len(found) > 1:
        raise DataError(
            f"{folder}: {found[0].name} and {found[1].name} could both be the {part} file; name one of them"
        )
    return found[0] if found else None


def read_corpus(path: Path, text_column: str | None = None, label_column: str | None = None) -> Corpus:
    """Read a file; rows without a text or a label are dropped, counted and said, so are duplicates counted.

    Raises:
        DataError: see :func:`sortgate_training.readers.read_rows`; or no row is left.
    """
    rows, notes = read_rows(path, text_column, label_column)
    source = path.name.encode("utf-8", "replace").decode()  # a file's name may be any bytes, the manifest's may not
    kept = [(text, label.strip()) for text, label in rows if text.strip() and label.strip()]
    empty = sum(not text.strip() for text, _ in rows)
    unlabelled = len(rows) - len(kept) - empty
    if not kept:
        raise DataError(f"{path}: no labelled text in it ({len(rows)} rows, all without a text or a label)")
    if empty:
        notes.append(f"{source}: {empty} of {len(rows)} rows have no text: dropped")
    if unlabelled:
        notes.append(f"{source}: {unlabelled} of {len(rows)} rows have no label: dropped")
    duplicates, contradictory = _repeated(kept)
    if duplicates:
        notes.append(f"{source}: {duplicates} rows repeat an earlier row")
    if contradictory:
        notes.append(f"{source}: {contradictory} texts occur with different labels")
    facts = {
        "file": source,
        "sha256": _digest(path),
        "rows": len(rows),
        "empty": empty,
        "unlabelled": unlabelled,
        "duplicates": duplicates,
        "contradictory": contradictory,
    }
    return Corpus([text for text, _ in kept], [label for _, label in kept], source, facts, notes)


def check_learnable(corpus: Corpus) -> list[str]:
    """Return the labels, sorted.

    Raises:
        DataError: a single label, or a label with a single text, which could be learned or judged but not both.
    """
    counts = Counter(label for _, label in set(zip(corpus.texts, corpus.labels, strict=True)))
    if len(counts) < 2:
        raise DataError(f"{corpus.source}: only one label, {min(counts)!r}; there is nothing to tell apart")
    alone = sorted(label for label, count in counts.items() if count == 1)
    if alone:
        names = ", ".join(repr(label) for label in alone[:5]) + (", …" if len(alone) > 5 else "")
        raise DataError(
            f"{corpus.source}: one example only for {'label' if len(alone) == 1 else f'{len(alone)} labels:'} {names}; "
            "add examples, or drop or merge such labels"
        )
    return sorted(counts)


def overlap_note(train: Corpus, other: Corpus) -> str | None:
    """Say how many texts of ``other`` were also learned from: they make its figures look better than they are."""
    known = set(train.texts)
    shared = sum(text in known for text in other.texts)
    return f"{other.source}: {shared} of {len(other)} texts also occur in {train.source}" if shared else None


def foreign_note(train: Corpus, other: Corpus) -> str | None:
    """Say which labels of ``other`` cannot be learned from ``train``.

    Raises:
        DataError: all of them.
    """
    known = set(train.labels)
    foreign = Counter(label for label in other.labels if label not in known)
    if not foreign:
        return None
    names = ", ".join(repr(label) for label in sorted(foreign)[:5]) + (", …" if len(foreign) > 5 else "")
    if foreign.total() == len(other):
        raise DataError(f"{other.source}: none of its labels ({names}) occurs in {train.source}")
    return (
        f"{other.source}: {foreign.total()} texts have labels that {train.source} lacks ({names}): they count as wrong"
    )


def _repeated(rows: list[tuple[str, str]]) -> tuple[int, int]:
    """Return how many rows repeat an earlier one, and how many texts have several labels."""
    distinct = set(rows)
    return len(rows) - len(distinct), sum(count > 1 for count in Counter(text for text, _ in distinct).values())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

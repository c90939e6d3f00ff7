"""What the demo trains on and streams: generated files, or the train and test files of a folder."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from sortgate.demo.texts import generate
from sortgate.errors import DataError

#: Enough to learn the eight labels within a minute on two cores.
GENERATED_TRAIN = 8_000
#: Different seeds, so that no generated test text was drawn for training.
TRAIN_SEED, TEST_SEED = 1, 2

_SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".jsonl", ".jsonl.gz")


@dataclass(frozen=True)
class Material:
    """Files to train on, and labelled texts to stream.

    Attributes:
        source: what ``sortgate train`` is given: the file, or the folder whose train and test files it finds itself.
        texts: the texts of ``test``.
        labels: their labels, in the same order.
        generated: whether all of it was invented by :mod:`sortgate.demo.texts`.
    """

    source: Path
    texts: list[str]
    labels: list[str]
    generated: bool


def generated_material(folder: Path, texts: int) -> Material:
    """Write a generated train file into ``folder`` and generate ``texts`` texts to stream."""
    train = folder / "train.csv"
    with train.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label"))
        writer.writerows(generate(GENERATED_TRAIN, TRAIN_SEED))
    pairs = list(generate(texts, TEST_SEED))
    return Material(train, [text for text, _ in pairs], [label for _, label in pairs], generated=True)


def folder_material(folder: Path) -> Material:
    """Read a folder's train and test files: ``.csv``, ``.tsv`` or ``.jsonl``, plain or ``.gz``.

    Raises:
        DataError: the folder or one of the files is missing, or the test file cannot be read.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    _find(folder, "train")
    test = _find(folder, "test")
    pairs = list(read_pairs(test))
    if not pairs:
        raise DataError(f"{test}: holds no texts")
    return Material(folder, [text for text, _ in pairs], [label for _, label in pairs], generated=False)


def read_pairs(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the ``text`` and ``label`` of every row, in order.

    Raises:
        DataError: no such columns, or a row cannot be read; names the row.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
            rows = _json_rows(file) if ".jsonl" in path.suffixes else _csv_rows(file, ".tsv" in path.suffixes)
            for number, row in enumerate(rows, 1):
                text, label = row.get("text"), row.get("label")
                if not isinstance(text, str) or label is None:
                    raise DataError(
                        f"{path}, row {number}: needs columns text and label, has {', '.join(map(str, row))}"
                    )
                yield text, str(label)
    except (OSError, UnicodeDecodeError, csv.Error, json.JSONDecodeError) as error:
        raise DataError(f"{path}: {error}") from None


def _csv_rows(file: TextIO, tabs: bool) -> Iterator[dict[str, object]]:
    csv.field_size_limit(1 << 27)
    yield from csv.DictReader(file, delimiter="\t" if tabs else ",")


def _json_rows(file: TextIO) -> Iterator[dict[str, object]]:
    for line in file:
        if line.strip():
            row = json.loads(line)
            yield row if isinstance(row, dict) else {}


def _find(folder: Path, name: str) -> Path:
    for suffix in _SUFFIXES:
        path = folder / (name + suffix)
        if path.is_file():
            return path
    raise DataError(f"{folder}: has no {name} file ({', '.join(name + suffix for suffix in _SUFFIXES)})")

"""Finds the files of a data set: those named, or those of a folder that has train, validation and test files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sortgate.errors import DataError
from sortgate_training.readers import PACKED, SUFFIXES

#: Names under which a folder's files are looked for.
PARTS: dict[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test",),
}


@dataclass(frozen=True)
class DataFiles:
    """The files of one data set; no file stands for texts that are to be split off."""

    train: list[Path]
    validation: list[Path]
    test: list[Path]


def find_files(data: Sequence[Path], validation: Sequence[Path] = (), test: Sequence[Path] = ()) -> DataFiles:
    """Return the files meant: ``data`` itself, or the train, validation and test files of one folder.

    Raises:
        DataError: a folder without a train file, with two, or beside other files.
    """
    if not any(path.is_dir() for path in data):
        return DataFiles(list(data), list(validation), list(test))
    if len(data) > 1:
        folder = next(path for path in data if path.is_dir())
        raise DataError(f"{folder}: a folder goes alone; name the files in it that are meant")
    train = find_part(data[0], "train")
    if train is None:
        raise DataError(
            f"{data[0]}: no train file in this folder; name it train.csv, train.tsv, train.jsonl, train.parquet "
            "or train.txt (fastText)"
        )
    parts = [
        list(given) or [file for file in [find_part(data[0], part)] if file]
        for given, part in ((validation, "validation"), (test, "test"))
    ]
    return DataFiles([train], *parts)


def find_test_files(data: Sequence[Path]) -> list[Path]:
    """Return ``data``, in which a folder stands for its test file.

    Raises:
        DataError: a folder without a test file, or with two.
    """
    files = []
    for path in data:
        file = find_part(path, "test") if path.is_dir() else path
        if file is None:
            raise DataError(
                f"{path}: no test file in this folder; name it test.csv, test.tsv, test.jsonl, test.parquet "
                "or test.txt (fastText)"
            )
        files.append(file)
    return files


def find_part(folder: Path, part: str) -> Path | None:
    """Return the folder's file for ``part``, a key of ``PARTS``; None when there is none.

    Raises:
        DataError: more than one file could be meant.
    """
    found = [
        folder / f"{name}{suffix}{packed}"
        for name in PARTS[part]
        for suffix in SUFFIXES
        for packed in ("", *PACKED)
        if (folder / f"{name}{suffix}{packed}").is_file()
    ]
    if len(found) > 1:
        raise DataError(
            f"{folder}: {found[0].name} and {found[1].name} could both be the {part} file; name one of them"
        )
    return found[0] if found else None

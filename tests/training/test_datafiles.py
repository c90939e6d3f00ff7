"""Which files are meant by files and folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from sortgate.errors import DataError
from sortgate_training.datafiles import find_files, find_test_files


def test_a_folder_holds_parts(tmp_path: Path) -> None:
    for name in ("train.csv.gz", "dev.parquet", "test.txt.zst", "SOURCE.md"):
        (tmp_path / name).touch()
    files = find_files([tmp_path])
    found = [[path.name for path in part] for part in (files.train, files.validation, files.test)]
    assert found == [["train.csv.gz"], ["dev.parquet"], ["test.txt.zst"]]
    other = tmp_path / "SOURCE.md"
    assert find_files([tmp_path], test=[other, other]).test == [other, other]
    assert find_files([other, other], test=[other]).validation == []
    assert find_test_files([other, tmp_path]) == [other, tmp_path / "test.txt.zst"]


def test_a_folder_without_or_with_two_train_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no train file"):
        find_files([tmp_path])
    with pytest.raises(DataError, match="no test file"):
        find_test_files([tmp_path])
    (tmp_path / "train.csv").touch()
    assert find_files([tmp_path]).test == []
    (tmp_path / "train.csv.gz").touch()
    with pytest.raises(DataError, match="could both be the train file"):
        find_files([tmp_path])


def test_a_folder_goes_alone(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{tmp_path}: a folder goes alone"):
        find_files([tmp_path / "a.csv", tmp_path])

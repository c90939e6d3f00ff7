"""Files, and bundles of the first training alone and of both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from refitting import train

Rows = list[tuple[str, str]]


@pytest.fixture(scope="package")
def files(
    tmp_path_factory: pytest.TempPathFactory, rows: Callable[..., Rows], write_rows: Callable[[Path, Rows], Path]
) -> Path:
    """A folder whose validation texts alone know the word ``newcomer``, of label b."""
    folder = tmp_path_factory.mktemp("files")
    write_rows(folder / "train.csv", rows(400))
    known = [
        (f"{text} newcomer newcomer", label) if label == "label b" else (text, label)
        for text, label in rows(120, seed=1)
    ]
    write_rows(folder / "validation.csv", known)
    write_rows(folder / "test.csv", rows(80, seed=2))
    return folder


@pytest.fixture(scope="package")
def first(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("first") / "toy"
    train(out, str(files), "--set", "refit=false")
    return out


@pytest.fixture(scope="package")
def again(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("again") / "toy"
    train(out, str(files))
    return out

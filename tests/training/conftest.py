"""Small data to train on, and PyTorch on one thread: more would only wait for each other on batches this small."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from sortgate_training.parallel import set_threads

Rows = list[tuple[str, str]]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    set_threads(1)


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No plugins of this machine; and what commands set of the environment is undone."""
    for name in ("SORTGATE_PLUGINS", "SORTGATE_PLUGINS_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")


def make_rows(count: int, labels: str = "abc", seed: int = 0) -> Rows:
    """Return texts of which some words give the label away."""
    generator = random.Random(seed)
    rows = []
    for _ in range(count):
        label = generator.choice(labels)
        words = [
            f"{label}{generator.randrange(20)}" if generator.random() < 0.3 else f"word{generator.randrange(80)}"
            for _ in range(generator.randint(3, 20))
        ]
        rows.append((" ".join(words), f"label {label}"))
    return rows


@pytest.fixture(scope="session")
def rows() -> Callable[..., Rows]:
    """Make labelled texts: ``rows(count, labels, seed)``."""
    return make_rows


@pytest.fixture(scope="session")
def write_rows() -> Callable[[Path, Rows], Path]:
    """Write a CSV file and return its path."""

    def write(path: Path, rows: Rows) -> Path:
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("text", "label"), *rows])
        return path

    return write

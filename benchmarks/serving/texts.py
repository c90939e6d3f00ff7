"""Texts to classify, as many as a run needs."""

from __future__ import annotations

import csv
import gzip
import itertools
from collections.abc import Sequence
from pathlib import Path


def read_texts(path: Path) -> list[str]:
    """Return the ``text`` column of a CSV file, plain or ``.gz``."""
    opener = gzip.open if path.suffix == ".gz" else open
    csv.field_size_limit(1 << 30)
    with opener(path, "rt", encoding="utf-8", newline="") as file:
        return [row["text"] for row in csv.DictReader(file)]


def repeated(texts: Sequence[str], count: int) -> list[str]:
    """Return ``count`` texts, from the first on, again and again."""
    return list(itertools.islice(itertools.cycle(texts), count))

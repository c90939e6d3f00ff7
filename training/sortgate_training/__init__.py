"""Trains LSTM and GRU text classifiers and writes them as Sortgate bundles.

The name below is loaded when first used: importing this package costs nothing.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sortgate_training.estimator import SortgateClassifier

# PyTorch looks at it with its first tensor. Large ones, which every step makes anew, then come in pages of 2 MB where
# the system lets a program choose them (madvise(2)): on long texts a sixth of the time went into pages of 4 kB.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

__all__ = ["SortgateClassifier"]


def __getattr__(name: str) -> Any:
    if name != "SortgateClassifier":
        raise AttributeError(f"module 'sortgate_training' has no attribute {name!r}")
    from sortgate_training.estimator import SortgateClassifier

    return SortgateClassifier


def __dir__() -> list[str]:
    return sorted(__all__)

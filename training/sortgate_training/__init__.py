"""Trains LSTM and GRU text classifiers and writes them as Sortgate bundles.

The name below is loaded when first used: importing this package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sortgate_training.estimator import SortgateClassifier

__all__ = ["SortgateClassifier"]


def __getattr__(name: str) -> Any:
    if name != "SortgateClassifier":
        raise AttributeError(f"module 'sortgate_training' has no attribute {name!r}")
    from sortgate_training.estimator import SortgateClassifier

    return SortgateClassifier


def __dir__() -> list[str]:
    return sorted(__all__)

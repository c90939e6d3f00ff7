"""Sortgate sorts texts that stream through Redis into labels.

The names below are loaded when first used: ``from sortgate import Client`` needs neither Celery nor ONNX Runtime.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sortgate.client import AsyncClient, Client
    from sortgate.inference import Classifier
    from sortgate.plugins import hookimpl
    from sortgate.types import Prediction

__version__ = "0.1.0"
__all__ = ["AsyncClient", "Classifier", "Client", "Prediction", "__version__", "hookimpl"]

_HOMES = {
    "AsyncClient": "sortgate.client",
    "Client": "sortgate.client",
    "Classifier": "sortgate.inference",
    "Prediction": "sortgate.types",
    "hookimpl": "sortgate.plugins",
}


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module 'sortgate' has no attribute {name!r}") from None
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

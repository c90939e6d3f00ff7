"""Checks of parameters. They come from a configuration file, so each complaint names the key to look for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def number(key: str, value: Any, most: float = math.inf) -> float:
    """Return a number from 0 to ``most``."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most or math.isinf(value):
        raise ValueError(f"{key} must be a number from 0 " + ("on" if math.isinf(most) else f"to {most:g}"))
    return float(value)


def text(key: str, value: Any) -> str:
    """Return a string that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{key} must be a string that is not empty")
    return value


def optional_text(key: str, value: Any) -> str | None:
    """Return a string that is not empty, or None."""
    return None if value is None else text(key, value)


def table(key: str, value: Any) -> dict[str, Any]:
    """Return a table; what is in it is still to be checked."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{key} must be a table")
    return dict(value)


def texts(key: str, value: Any) -> list[str]:
    """Return a list of strings that are not empty."""
    if not isinstance(value, list | tuple):
        raise ValueError(f"{key} must be a list of strings")
    return [text(f"{key}[{index}]", entry) for index, entry in enumerate(value)]

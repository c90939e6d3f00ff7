"""Checks of components' parameters that are numbers or words; each refusal names the parameter."""

from __future__ import annotations

import math
from collections.abc import Sequence


def whole_number(name: str, value: object, least: int, most: int = 1_000_000) -> int:
    """Return the value.

    Raises:
        ValueError: not a whole number from ``least`` to ``most``.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError(f"{name} must be a whole number from {least:,} to {most:,}")
    return value


def positive_number(name: str, value: object, most: float = math.inf) -> float:
    """Return the value.

    Raises:
        ValueError: not a finite number above 0, and at most ``most``.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not (0 < value <= most and value < math.inf):
        raise ValueError(f"{name} must be a number above 0" + ("" if most == math.inf else f", at most {most:g}"))
    return float(value)


def list_of_words(name: str, value: object) -> tuple[str, ...]:
    """Return the value.

    Raises:
        ValueError: not a list of strings.
    """
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(word, str) for word in value):
        raise ValueError(f"{name} must be a list of strings")
    return tuple(value)

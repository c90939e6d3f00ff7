"""Waiting for what other processes do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(condition: Callable[[], T], timeout_s: float = 60.0, what: str = "condition") -> T:
    """Return the condition's value once it is true; of a sample that no scrape holds yet (KeyError) it is not."""
    ends = time.monotonic() + timeout_s
    while True:
        try:
            if value := condition():
                return value
        except KeyError:
            pass
        assert time.monotonic() < ends, f"{what}: not in {timeout_s:g} s"
        time.sleep(0.01)

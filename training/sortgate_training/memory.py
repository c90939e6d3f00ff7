"""Memory that the C library keeps for later goes back to the system."""

from __future__ import annotations

import ctypes


def give_back() -> None:
    """Return the free pages of the heap.

    Batches of many lengths leave it full of gaps: after an epoch of long texts two thirds of it were free, and what
    came next was put beside them. Takes milliseconds, with glibc alone (malloc_trim(3)); elsewhere nothing is done.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)

"""How memory comes from the system, and that what the C library keeps for later goes back to it."""

from __future__ import annotations

import ctypes
import os

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # mallopt(3)
#: Tensors of more bytes come from the system and go back to it.
_LARGE_BYTES = 8 << 20
#: Free bytes that the heap may keep at its end.
_KEPT_BYTES = 64 << 20


def prepare() -> None:
    """Have large tensors come in pages of 2 MB, where the system lets a program choose them, and go when they are free.

    Every step makes them anew: on long texts a sixth of the time went into pages of 4 kB (madvise(2)). By itself glibc
    soon takes tensors of up to 32 MB from its heap, and batches of many lengths leave that full of gaps: with those of
    over 8 MB outside, a training on long texts took a fifth less memory, and as long; from 2 MB on it took longer.
    With that limit set, glibc no longer adapts what it keeps free at the heap's end, and would give back every tensor.
    PyTorch looks at its setting with its first tensor, so this comes before. What the environment says stands.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    choose = getattr(ctypes.CDLL(None), "mallopt", None)
    if choose is not None:
        if "MALLOC_MMAP_THRESHOLD_" not in os.environ:
            choose(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        if "MALLOC_TRIM_THRESHOLD_" not in os.environ:
            choose(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def give_back() -> None:
    """Return the free pages of the heap.

    Batches of many lengths leave it full of gaps: after an epoch of long texts two thirds of it were free, and what
    came next was put beside them. Takes milliseconds, with glibc alone (malloc_trim(3)); elsewhere nothing is done.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)

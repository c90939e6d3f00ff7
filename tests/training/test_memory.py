"""Memory goes back to the system, which the process's own figures show."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from sortgate_training.memory import give_back


def resident_mib() -> float:
    """What this process has of the machine's memory."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024.0


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="glibc alone can")
def test_what_is_free_between_what_is_kept_goes_back() -> None:
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, (ctypes.c_void_p,)
    blocks = [libc.malloc(100_000) for _ in range(2_000)]  # below the size that is mapped by itself
    for block in blocks:
        ctypes.memset(block, 1, 100_000)
    full = resident_mib()
    for number, block in enumerate(blocks):
        if number % 10:
            libc.free(block)
    kept = resident_mib()
    give_back()
    left = resident_mib()
    for block in blocks[::10]:
        libc.free(block)
    assert kept > full - 50.0, "the C library keeps most of it"
    assert left < full - 130.0

"""Memory goes back to the system, which the process's own figures show."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
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


TENSORS = """
import ctypes, sys
import torch
from sortgate_training.parallel import set_threads
if sys.argv[1] == "prepared":
    set_threads(1)

class Figures(ctypes.Structure):  # mallinfo2(3)
    _fields_ = [(name, ctypes.c_size_t) for name in
                "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]

figures = ctypes.CDLL(None).mallinfo2
figures.restype = Figures

torch.ones(4 << 20)  # 16 MB, from which glibc learns to take smaller ones from its heap
before = figures().hblkhd
tensor = torch.ones(3 << 20)
print(figures().hblkhd - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="glibc alone, since 2.33, tells")
@pytest.mark.parametrize(("how", "outside"), [("prepared", True), ("not", False)])
def test_large_tensors_are_outside_the_heap(how: str, outside: bool) -> None:
    """So that they leave no gaps in it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-c", TENSORS, how]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert (int(done.stdout) > 10_000_000) is outside

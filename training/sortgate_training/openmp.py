"""What is to be settled before PyTorch is imported; imports nothing heavy itself."""

from __future__ import annotations

import os


def let_threads_sleep() -> None:
    """Keep OpenMP's threads from spinning while they wait for each other, unless the environment says otherwise.

    Where other processes want the cores, spinning makes training more than ten times slower. PyTorch reads it when it
    is imported.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

"""Ctrl-C as a request that is answered between two steps, so that it never leaves weights half-changed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class Stop:
    """Whether the user asked to stop."""

    requested: bool = False


@contextmanager
def stop_on_ctrl_c() -> Iterator[Stop]:
    """Turn the first Ctrl-C into ``requested``; a second one raises KeyboardInterrupt at once.

    Signals reach the main thread only: in any other, nothing is changed.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler's signature
        if stop.requested:
            raise KeyboardInterrupt
        stop.requested = True

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)

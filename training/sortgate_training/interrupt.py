"""Ctrl-C and SIGTERM as a request that is answered between two steps, so that weights are never left half-changed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from types import FrameType

_NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


@dataclass
class Stop:
    """Whether someone asked to stop, by what, and whether a second time, which ends all."""

    requested: bool = False
    reason: str = ""
    insisted: bool = False


#: That of the innermost :func:`stop_on_signals` around.
_outer: ContextVar[Stop | None] = ContextVar("_outer", default=None)


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Turn the first Ctrl-C or SIGTERM into ``requested``; a second one raises KeyboardInterrupt at once.

    One within another begins with the other's request, and hands its own on to it: what stops a training stops the
    search that it is part of.

    Signals reach the main thread only: in any other, nothing is changed.
    """
    outer = _outer.get()
    stop = Stop() if outer is None else replace(outer)
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler's signature
        asked = stop.requested
        stop.requested, stop.reason = True, stop.reason or _NAMES[signal.Signals(signum)]
        if asked:
            stop.insisted = True
            raise KeyboardInterrupt

    token = _outer.set(stop)
    before = {number: signal.signal(number, ask) for number in _NAMES}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _outer.reset(token)
        if outer is not None:
            outer.insisted |= stop.insisted
            if stop.requested and not outer.requested:
                outer.requested, outer.reason = True, stop.reason


@contextmanager
def at_once() -> Iterator[None]:
    """Within, the first signal raises KeyboardInterrupt, too: around work that a request to stop leaves out."""
    stop = _outer.get()
    if stop is None:
        yield
        return
    before, stop.requested = replace(stop), True
    try:
        yield
    finally:
        stop.requested, stop.insisted = before.requested or bool(stop.reason), before.insisted

"""Work of PyTorch on threads side by side that meet seldom.

PyTorch's own threads meet in every kernel, hundreds of times a step: they either sleep there, and wake late, or spin,
and are lost once another process wants their core.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self, TypeVar

import torch

from sortgate_training import memory

#: Threads side by side at most. A batch is always divided into so many parts, so that their number, and with it the
#: outcome, does not depend on the threads there are; of more threads, each side has its share within kernels.
SIDES = 2

_sides = 1
Answer = TypeVar("Answer")


def set_threads(threads: int) -> None:
    """Let this process's training use ``threads`` in all; without this, PyTorch's own setting stands."""
    memory.prepare()
    global _sides  # as PyTorch's setting, it is the process's
    _sides = min(SIDES, threads)
    torch.set_num_threads(threads // _sides)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let PyTorch use one thread for a while: then sums are added in one order, whatever the machine's cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class SideBySide:
    """Threads for a while; a context manager."""

    def __init__(self) -> None:
        within = torch.get_num_threads()
        start = torch.set_num_threads
        self._pool = ThreadPoolExecutor(_sides, "side", start, (within,)) if _sides > 1 else None

    def map(self, function: Callable[..., Answer], *arguments: Iterable[Any]) -> list[Answer]:
        """Return what ``function`` makes of the arguments, in their order; raises what it raises."""
        return list((map if self._pool is None else self._pool.map)(function, *arguments))

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

"""Tells the observers among the plugins of each epoch, beside the watcher that shows it."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

import msgspec

from sortgate.plugins.events import EpochEnd
from sortgate.plugins.observers import Observers
from sortgate_training.history import Epoch
from sortgate_training.loop import Watcher


class ObservedWatcher:
    """A watcher that tells observers what it shows."""

    def __init__(self, inner: Watcher, observers: Observers) -> None:
        self._inner = inner
        self._observers = observers

    def __enter__(self) -> object:
        return self._inner.__enter__()

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._inner.__exit__(kind, value, at)

    def step(self, epoch: int, texts: int, loss: float, texts_per_s: float) -> None:
        """Show it; observers are told of epochs alone."""
        self._inner.step(epoch, texts, loss, texts_per_s)

    def epoch(self, epoch: Epoch, *, best: bool) -> None:
        """Show it, and tell."""
        self._inner.epoch(epoch, best=best)
        self._observers.tell("sortgate_epoch_end", epoch=EpochEnd(best=best, **msgspec.structs.asdict(epoch)))

    def epoch_without_validation(self, number: int, loss: float, texts_per_s: float, seconds: float) -> None:
        """Show it; nothing has judged it, so there is nothing to tell."""
        self._inner.epoch_without_validation(number, loss, texts_per_s, seconds)


def observed(watch: Callable[[int, int], Watcher], observers: Observers) -> Callable[[int, int], Watcher]:
    """Return what makes watchers that tell ``observers``, too."""
    if not observers.of("sortgate_epoch_end"):
        return watch
    return lambda texts, epochs: ObservedWatcher(watch(texts, epochs), observers)

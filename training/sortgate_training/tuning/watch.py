"""Follows one training of a search, and ends it by raising where it is not worth its time or there is none left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from sortgate_training.history import Epoch
from sortgate_training.tuning.progress import TuningProgress
from sortgate_training.tuning.record import Metric

if TYPE_CHECKING:
    import optuna

#: A trial may be pruned once it has had this share of its epochs.
PRUNED_FROM = 1 / 3


class PrunedError(Exception):
    """The trial is in the lower half of those that came to this epoch."""


class TimeUpError(Exception):
    """The study's time is over."""


@dataclass
class Watch:
    """A watcher of the training loop.

    Attributes:
        left: returns the seconds that the study has left.
        show: told of the progress.
        metric: what the search is for.
        trial: told of each epoch, and decides on pruning; None for a training that is never pruned.
        epochs: how many there are, once known.
        now: the one under way.
        reached: the figure of the last one that is over.
    """

    left: Callable[[], float]
    show: TuningProgress
    metric: Metric
    trial: optuna.Trial | None = None
    epochs: int = 0
    now: int = 0
    reached: float | None = None

    def of(self, epochs: int) -> Watch:
        """Return itself, knowing how many epochs there are."""
        self.epochs = epochs
        return self

    def __enter__(self) -> None:
        """Show what is shown already."""

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        """Leave it there."""

    def step(self, epoch: int, texts: int, loss: float, texts_per_s: float) -> None:  # noqa: ARG002 - the protocol's
        """Look at the clock."""
        self.now = epoch
        left = self.left()
        if left <= 0:
            raise TimeUpError
        self.show.step(epoch, self.epochs, left)

    def epoch_without_validation(self, number: int, loss: float, texts_per_s: float, seconds: float) -> None:
        """Nothing: a search judges every epoch."""

    def epoch(self, epoch: Epoch, *, best: bool) -> None:  # noqa: ARG002 - the protocol's
        """Ask whether to go on."""
        self.reached = float(getattr(epoch, f"validation_{self.metric}"))
        if self.trial is None:
            return
        self.trial.report(self.reached, epoch.number)
        if PRUNED_FROM * self.epochs <= epoch.number < self.epochs and self.trial.should_prune():
            raise PrunedError

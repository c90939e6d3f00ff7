"""What a person sees while a model trains: a live bar on a terminal, one line an epoch elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from sortgate_training.history import Epoch


class TrainingProgress:
    """A watcher of the loop that shows loss, validation macro-F1, texts/s and the time left.

    Args:
        console: where to; a quiet one shows nothing.
        texts: training texts of one epoch.
        epochs: most epochs.
    """

    def __init__(self, console: Console, texts: int, epochs: int) -> None:
        self._texts, self._epochs = texts, epochs
        self._f1 = "–"
        self._progress = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("loss {task.fields[loss]:.3f}  validation macro-F1 {task.fields[f1]}"),
            TextColumn("{task.fields[rate]:,.0f} texts/s"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal or console.quiet,
        )
        total = texts * epochs
        self._task = self._progress.add_task("", total=total, epoch=f"1/{epochs}", loss=0.0, f1=self._f1, rate=0.0)

    def step(self, epoch: int, texts: int, loss: float, texts_per_s: float) -> None:
        """Move the bar."""
        self._progress.update(
            self._task,
            completed=(epoch - 1) * self._texts + texts,
            epoch=f"{epoch}/{self._epochs}",
            loss=loss,
            f1=self._f1,
            rate=texts_per_s,
        )

    def epoch(self, epoch: Epoch, *, best: bool) -> None:
        """Leave a line behind for the epoch."""
        self._f1 = f"{epoch.validation_macro_f1:.3f}"
        self._progress.console.print(
            f"epoch {epoch.number}/{self._epochs}  loss {epoch.train_loss:.4f}  validation: loss "
            f"{epoch.validation_loss:.4f}, accuracy {epoch.validation_accuracy:.4f}, macro-F1 "
            f"{epoch.validation_macro_f1:.4f}  {epoch.texts_per_s:,.0f} texts/s  {epoch.seconds:.0f} s"
            f"{'  best so far' if best else ''}",
            highlight=False,
            soft_wrap=True,
        )

    def epoch_without_validation(self, number: int, loss: float, texts_per_s: float, seconds: float) -> None:
        """Leave a line behind for an epoch that nothing judges."""
        self._progress.console.print(
            f"epoch {number}/{self._epochs}  loss {loss:.4f}  {texts_per_s:,.0f} texts/s  {seconds:.0f} s",
            highlight=False,
            soft_wrap=True,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

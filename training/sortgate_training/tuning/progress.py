"""What a person sees of a search: a live line on a terminal, and one line a trial everywhere."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from sortgate_training.tuning.record import METRICS, Metric, Record


class TuningProgress:
    """Shows trials.

    Args:
        console: where to; a quiet one shows nothing.
        metric: whose figures are shown.
    """

    def __init__(self, console: Console, metric: Metric) -> None:
        self._console, self._metric = console, metric
        self._progress: Progress | None = None

    def say(self, sentence: str) -> None:
        """Print a line."""
        self._console.print(sentence, highlight=False, markup=False, soft_wrap=True)

    def begin(self, what: str, left_s: float) -> None:
        """Show a training that begins, where there is a terminal."""
        if not self._console.is_terminal or self._console.quiet:
            return
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[left]} left"))
        self._progress = Progress(*columns, console=self._console, transient=True)
        self._progress.add_task(what, total=None, left=clock(left_s))
        self._progress.start()

    def step(self, epoch: int, epochs: int, left_s: float) -> None:
        """Move the bar: the epoch under way is not done yet."""
        if self._progress is not None:
            task = self._progress.task_ids[0]
            self._progress.update(task, completed=epoch - 1, total=epochs, left=clock(left_s))

    def end(self) -> None:
        """Take the bar away."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def record(self, record: Record, best: Record | None, left_s: float) -> None:
        """Leave a line behind for a trial."""
        name = METRICS[self._metric]
        parts = []
        match record.status:
            case "trained":
                again = f" (mean of {len(record.runs)} seeds)" if len(record.runs) > 1 else ""
                parts.append(f"{name} {record.figure(self._metric):.4f}{again}")
            case "pruned":
                parts.append(f"pruned {record.note} at {name} {record.reached:.4f}")
            case _:
                parts.append(f"{record.status}: {record.note}")
        if record.cost is not None:
            over = ", over the budget" if not record.within and record.runs else ""
            parts.append(f"{record.cost}{over}")
        parts.append(f"{record.seconds:.0f} s")
        if best is not None:
            parts.append(f"best {best.figure(self._metric):.4f} (trial {best.number})")
        parts += [f"{clock(left_s)} left", record.changes()]
        self.say(f"trial {record.number}: {' | '.join(parts)}")


def clock(seconds: float) -> str:
    """Return minutes and seconds, 0:00 at least."""
    whole = max(0, round(seconds))
    return f"{whole // 60}:{whole % 60:02d}"

"""What is known of one trial, as the study keeps it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from sortgate_training.history import Judgement
from sortgate_training.tuning.cost import Cost
from sortgate_training.tuning.space import CHOICES, LADDERS

#: What a search can be for.
Metric = Literal["macro_f1", "accuracy", "loss"]
METRICS: dict[Metric, str] = {"macro_f1": "macro-F1", "accuracy": "accuracy", "loss": "loss"}


#: Keys that need no table's name to be understood, and that name.
_OBVIOUS = {key: f"{key.partition('.')[0]}." for key in LADDERS | CHOICES if not key.endswith((".dropout", ".enabled"))}


class Run(msgspec.Struct, frozen=True):
    """One training: figures of the kept epoch on the validation texts, as the bundle would answer them."""

    seed: int
    judgement: Judgement
    epochs: int
    seconds: float


class Record(msgspec.Struct, frozen=True):
    """A configuration that was tried.

    Attributes:
        number: of the trial, from 0, which is the start.
        numbers: of each dimension's value.
        values: key → value of what differs from the start.
        status: ``trained``; ``pruned``, no better than half of the others at the same epoch; ``over budget``, not
            trained; ``failed``.
        cost: of serving it.
        within: whether that is within the budget.
        note: more about the status.
        runs: trainings to the end, the first with the study's seed.
        reached: the figure at which it was pruned.
        seconds: spent on it, all trainings and measuring included.
    """

    number: int
    numbers: dict[str, int]
    values: dict[str, Any]
    status: Literal["trained", "pruned", "over budget", "failed"]
    cost: Cost | None = None
    within: bool = True
    note: str = ""
    runs: list[Run] = []
    reached: float | None = None
    seconds: float = 0.0

    def figure(self, metric: Metric) -> float | None:
        """Return the mean over its trainings, None without any."""
        if not self.runs:
            return None
        return sum(float(getattr(run.judgement, metric)) for run in self.runs) / len(self.runs)

    def rank(self, metric: Metric) -> float:
        """Return what is the greater the better; minus infinity where there is no figure."""
        figure = self.figure(metric)
        return float("-inf") if figure is None else -figure if metric == "loss" else figure

    def changes(self) -> str:
        """Say what differs from the start, in short."""
        parts = [f"{key.removeprefix(_OBVIOUS.get(key, ''))}={_short(value)}" for key, value in self.values.items()]
        return " ".join(parts) or "the start"


def _short(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)

"""A time budget: how far a run is, for the learning rate's schedule, and when it must stop to export in time."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from sortgate.errors import ConfigurationError

_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0}
#: Share of the budget kept for judging and export, until a validation pass has shown what judging takes.
_RESERVE = 0.1


def parse_duration(text: str) -> float:
    """Return the seconds of ``90s``, ``5m`` or ``1.5h``.

    Raises:
        ConfigurationError: it is nothing like that.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    if not found or float(found[1]) == 0:
        raise ConfigurationError(f"--time-budget: {text!r} is no time: write 90s, 5m or 1h")
    return float(found[1]) * _UNITS_S[found[2]]


def pace(schedule: Callable[[int], float], steps: int, budget: Budget | None) -> Callable[[int], float]:
    """Return the learning rate's factor by step; in a budget, whichever is further on counts, the steps or the time."""
    if budget is None:
        return schedule
    return lambda step: schedule(max(step, int(budget.share() * steps)))


class Budget:
    """Seconds of a whole command, of which reading, the n-gram path and the export take their part.

    Args:
        seconds: all of it.
        started: of the command, by ``clock``.
        clock: in seconds.
    """

    def __init__(self, seconds: float, started: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._started = started
        self._clock = clock
        self._reserve = _RESERVE * seconds
        self._from: float | None = None

    def spent(self) -> float:
        """Return the seconds since the start, those before a resume included."""
        return self._clock() - self._started

    def begin(self) -> float:
        """Start training: from here on the schedule counts. Returns the seconds there are for it."""
        if self._from is None:
            self._from = self.spent()
        return max(0.0, self.seconds - self._reserve - self._from)

    def judged(self, seconds: float) -> None:
        """Take note of how long a validation pass took: the end needs about four times that, and a few seconds."""
        self._reserve = min(max(4 * seconds + 2.0, 0.02 * self.seconds), 0.5 * self.seconds)

    def share(self) -> float:
        """Return how much of the time for training is over, 0 to 1."""
        available = self.begin()
        done = self.spent() - (self._from or 0.0)
        return 1.0 if available <= 0 else min(1.0, done / available)

    def state(self) -> dict[str, float | None]:
        """Return what a checkpoint needs."""
        return {"spent": self.spent(), "from": self._from, "reserve": self._reserve}

    def restore(self, state: dict[str, float]) -> None:
        """Go on from :meth:`state`: the time before counts, the time between not."""
        self._started = self._clock() - state["spent"]
        self._from, self._reserve = state["from"], state["reserve"]

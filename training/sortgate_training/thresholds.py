"""From which score on a label is given: chosen on validation texts for a stated goal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

#: Positives at which a label's own threshold counts as much as the one that all labels share.
SHRINKAGE = 20
#: Fewer positives than this on validation say little about one label's threshold.
FEW = 20
_GOAL = re.compile(r"(precision|recall)>=(0(?:\.\d+)?|1(?:\.0+)?)")
_EDGE = 1e-6

Scores = npt.NDArray[np.float64]


class Goal(NamedTuple):
    """``f1``, or a figure that is at least ``value``."""

    figure: str
    value: float = 0.0


def parse_goal(text: str) -> Goal:
    """Return the goal written as ``f1``, ``precision>=0.95`` or ``recall>=0.9``.

    Raises:
        ValueError: it is none of these.
    """
    compact = text.replace(" ", "").lower()
    if compact == "f1":
        return Goal("f1")
    found = _GOAL.fullmatch(compact)
    if found is None:
        raise ValueError(f"a goal is f1, precision>=0.95 or recall>=0.9, not {text!r}")
    return Goal(found[1], float(found[2]))


def choose_thresholds(scores: Scores, targets: npt.NDArray[Any], goal: Goal) -> tuple[Scores, list[int]]:
    """Return the threshold of each label, and the numbers of those labels that miss the goal.

    ``f1``: a label's best threshold on few positives is mostly chance, so it is drawn towards the threshold that gives
    all labels together the best macro-F1, in log-odds, the more the fewer positives it has (:data:`SHRINKAGE`).
    ``precision``: the smallest threshold that reaches it; where none does, 1, so that the label is hardly ever given.
    ``recall``: the largest threshold that reaches it.

    Args:
        scores: ``[texts, labels]``, of texts that were not learned from.
        targets: ``[texts, labels]``, whether a text has the label.
        goal: what is asked for.
    """
    columns = [_curve(scores[:, label], targets[:, label]) for label in range(scores.shape[1])]
    if goal.figure == "f1":
        return _best_f1(columns, targets.sum(axis=0)), []
    chosen, missed = np.ones(len(columns)), []
    for label, (cuts, hits, given, positives) in enumerate(columns):
        reached = hits >= goal.value * (given if goal.figure == "precision" else positives) - 1e-9
        if positives and reached.any():
            # cuts descend: the last is the smallest threshold, the first the largest
            at = np.flatnonzero(reached)
            chosen[label] = cuts[at[-1] if goal.figure == "precision" else at[0]]
        else:
            missed.append(label)
    return chosen, missed


def choose_abstention(best: Scores, right: npt.NDArray[np.bool_], goal: Goal) -> tuple[float, float, float] | None:
    """Return the smallest threshold of the best label's score from which answers are right often enough.

    With it come the precision and the share of texts that are answered; None where no threshold reaches the goal.

    Args:
        best: ``[texts]``, the best label's score.
        right: ``[texts]``, whether that label is right.
        goal: a precision.
    """
    cuts, hits, given, _ = _curve(best, right)
    reached = np.flatnonzero(hits >= goal.value * given - 1e-9)
    if not len(reached):
        return None
    at = reached[-1]
    return float(cuts[at]), float(hits[at] / given[at]), float(given[at] / len(best))


def few_positives(labels: Sequence[str], targets: npt.NDArray[Any]) -> str | None:
    """Say which labels' thresholds rest on few texts."""
    counts = targets.sum(axis=0)
    few = [label for label, count in zip(labels, counts, strict=True) if count < FEW]
    if not few:
        return None
    names = ", ".join(few[:5]) + (", …" if len(few) > 5 else "")
    return f"thresholds of {len(few)} labels rest on fewer than {FEW} validation texts and may be off: {names}"


def _curve(scores: Scores, targets: npt.NDArray[Any]) -> tuple[Scores, Any, Any, int]:
    """Return possible thresholds, descending, the hits and the answers of each, and the count of positives."""
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(targets[order])
    last = np.flatnonzero(np.append(ranked[1:] < ranked[:-1], True))  # equal scores are cut together
    below = np.append(ranked[1:], 0.0)[last]
    # between two scores, so that rounding on another machine moves no label
    cuts = (ranked[last] + below) / 2.0
    return cuts, hits[last], last + 1, int(targets.sum())


def _best_f1(columns: list[Any], positives: npt.NDArray[Any]) -> Scores:
    grid = np.linspace(0.02, 0.98, 97)
    total, own = np.zeros(len(grid)), np.full(len(columns), 0.5)
    for label, (cuts, hits, given, count) in enumerate(columns):
        if not count:
            continue
        f1 = 2.0 * hits / (given + count)
        own[label] = cuts[int(f1.argmax())]
        at = np.searchsorted(-cuts, -grid, side="right") - 1  # the last cut that is at least as high
        total += np.where(at >= 0, f1[at], 0.0)
    shared = float(grid[int(total.argmax())])
    weight = positives / (positives + SHRINKAGE)
    odds = weight * _log_odds(own) + (1.0 - weight) * _log_odds(np.array(shared))
    chosen: Scores = 1.0 / (1.0 + np.exp(-odds))
    return chosen


def _log_odds(scores: Scores) -> Scores:
    clipped = np.clip(scores, _EDGE, 1.0 - _EDGE)
    odds: Scores = np.log(clipped / (1.0 - clipped))
    return odds

"""Which configuration a search comes to, and whether it is better than the start by more than chance, in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sortgate.errors import TrainingError
from sortgate_training.report.statistics import Interval
from sortgate_training.tuning.record import METRICS, Metric, Record


@dataclass(frozen=True)
class Conclusion:
    """What the search says.

    Attributes:
        chosen: whose configuration is written.
        rival: what was compared with the start, None where nothing was better.
        gain: the rival's figure minus the start's, over the trainings that both had.
        interval: its 95 % interval.
        improved: whether the interval says that the rival is better.
        seeds: trainings of each that were compared.
        sentences: all of that.
    """

    chosen: Record
    rival: Record | None
    gain: float | None
    interval: Interval | None
    improved: bool
    seeds: int
    sentences: list[str]


def figures_of(start: Record, other: Record, metric: Metric) -> tuple[float, float, int]:
    """Return the mean figures of both over the trainings that both had, and how many these are."""
    seeds = min(len(start.runs), len(other.runs))
    one, two = (
        sum(float(getattr(run.judgement, metric)) for run in record.runs[:seeds]) / seeds for record in (start, other)
    )
    return one, two, seeds


def gain_of(start: Record, other: Record, metric: Metric) -> float:
    """Return by how much the other is better: greater is better for every metric."""
    one, two, _ = figures_of(start, other, metric)
    return one - two if metric == "loss" else two - one


def contenders(records: Sequence[Record], metric: Metric) -> list[Record]:
    """Return the trained trials within the budget that beat the start, the best first; all, where it is over it."""
    if not records or not records[0].runs:
        return []
    start = records[0]
    found = [record for record in records[1:] if record.runs]  # what is over the budget has none
    if start.within:
        found = [record for record in found if gain_of(start, record, metric) > 0]
    return sorted(found, key=lambda record: -gain_of(start, record, metric))


def conclude(
    records: Sequence[Record], metric: Metric, texts: int, compare: Callable[[Record, Record, int], Interval]
) -> Conclusion:
    """Compare the best trial with the start.

    Of several that beat it, those that did so with two seeds go first.

    Args:
        records: the start has been trained.
        metric: what the search was for.
        texts: of the validation part.
        compare: returns the interval of the second's figure minus the first's, over so many trainings of each.

    Raises:
        TrainingError: the start is over the budget, and nothing within it was trained.
    """
    start, found = records[0], contenders(records, metric)
    judged = sum(record.status in {"trained", "pruned"} and record.within for record in records)
    name = METRICS[metric]
    if not found:
        if not start.within:
            raise TrainingError(_nothing_within(records))
        others = f"none of {judged - 1} other trials" if judged > 1 else "no other trial was made, so none"
        words = [f"{others} is better than the start: its configuration is written, {name} {start.figure(metric):.4f}"]
        return Conclusion(start, None, None, None, False, len(start.runs), words)
    most = min(max(len(record.runs) for record in found), len(start.runs))
    rival = next(record for record in found if min(len(record.runs), len(start.runs)) == most)
    before, after, seeds = figures_of(start, rival, metric)
    bounds = compare(start, rival, seeds)
    improved = bounds.high < 0 if metric == "loss" else bounds.low > 0
    change = f"{name} {after:.4f}, the start's {before:.4f}: {_points(after - before, metric)}"
    low, high = (_points(bound, metric).removesuffix(" points") for bound in bounds)
    change += f" (95 % interval {low} to {high}"
    change += f" on these {texts:,} validation texts, {f'{seeds} seeds each' if seeds > 1 else 'one seed'})"
    if not start.within:
        words = [f"the start is over the budget ({start.note}); the best within it is trial {rival.number}: {change}"]
    elif improved:
        words = [f"trial {rival.number} is better than the start beyond the noise of these texts: {change}"]
    else:
        words = [f"nothing beats the start beyond noise: the best, trial {rival.number}, has {change}"]
        words.append("the start's configuration is written")
    if judged > 1 and (improved or not start.within):
        words.append(
            f"trial {rival.number} was chosen among {judged} on these very texts, so its figure is optimistic: "
            "judge it on texts that no trial has seen"
        )
    if seeds == 1 and improved:
        words.append("there was no time to train it with a second seed: part of the difference may be luck")
    chosen = rival if improved or not start.within else start
    return Conclusion(chosen, rival, after - before, bounds, improved, seeds, words)


def _nothing_within(records: Sequence[Record]) -> str:
    measured = [record for record in records if record.cost is not None]
    cheapest = min(measured, key=lambda record: record.cost.ms if record.cost else 0.0)
    return (
        f"nothing within the budget was trained in time: of {len(measured)} configurations measured, the cheapest "
        f"(trial {cheapest.number}: {cheapest.changes()}) costs {cheapest.cost}; give more --minutes or a larger budget"
    )


def _points(value: float, metric: Metric) -> str:
    return f"{value:+.4f}" if metric == "loss" else f"{100 * value:+.2f} points"

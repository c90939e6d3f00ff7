"""Everything that the report and the model card state, computed once from what was judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sortgate_training.labelling import LabelSet, label_table
from sortgate_training.metrics import Metrics, measure, measure_sets
from sortgate_training.report.baselines import Baseline
from sortgate_training.report.judged import Judged
from sortgate_training.report.statistics import (
    Bin,
    Interval,
    McNemar,
    answered,
    bootstrap,
    bootstrap_sets,
    calibration_error,
    interval,
    mcnemar,
    numbered,
    paired_bootstrap_sets,
    probabilities,
    reliability,
    wilson,
)

#: Below it a difference is called significant.
SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class Rival:
    """A baseline's figures on the same texts, and the test against it; ``first`` in ``test`` is the classifier.

    Where a text may have several labels, accuracy is exact match, and the rest is there: ``gain`` is the interval of
    the classifier's macro-F1 minus the baseline's.
    """

    name: str
    about: str
    seconds: float
    accuracy: float
    accuracy_interval: Interval
    macro_f1: float
    macro_f1_interval: Interval
    test: McNemar
    micro_f1: float | None = None
    micro_f1_interval: Interval | None = None
    gain: Interval | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for the manifest."""
        values: dict[str, Any] = {"accuracy": self.accuracy, "macro_f1": self.macro_f1, "mcnemar_p": self.test.p}
        if self.micro_f1 is not None and self.gain is not None:
            values |= {"micro_f1": self.micro_f1, "macro_f1_gain_interval": [*self.gain]}
        return values


@dataclass(frozen=True)
class Calibration:
    """Calibration errors before and after the temperature, on the texts judged and on those that it was fitted to."""

    temperature: float
    before: float
    after: float
    bins_before: list[Bin]
    bins_after: list[Bin]
    fitted_before: float | None = None
    fitted_after: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for the manifest."""
        values: dict[str, Any] = {"bins": len(self.bins_after), "ece_before": self.before, "ece_after": self.after}
        if self.fitted_before is not None:
            values |= {"validation_ece_before": self.fitted_before, "validation_ece_after": self.fitted_after}
        return values


@dataclass(frozen=True)
class Figures:
    """A classifier's figures on one set of texts; ``f1`` has the interval of each of the metrics' labels.

    ``micro_f1`` is there where a text may have several labels.
    """

    metrics: Metrics
    accuracy: Interval
    macro_f1: Interval
    f1: list[Interval]
    rivals: list[Rival] = field(default_factory=list)
    calibration: Calibration | None = None
    micro_f1: Interval | None = None

    def verdict(self) -> str:
        """Say how the classifier compares with the best baseline, empty when there is none."""
        if not self.rivals:
            return ""
        if self.micro_f1 is not None:
            return self._verdict_of_sets()
        best = max(self.rivals, key=lambda rival: rival.accuracy)
        test, difference = best.test, self.metrics.accuracy - best.accuracy
        if test.p >= SIGNIFICANCE:
            word = "not distinguishable from"
        else:
            word = "significantly better than" if difference > 0 else "significantly worse than"
        return (
            f"This classifier is {word} the best baseline, {best.name} ({100 * difference:+.1f} points of accuracy; "
            f"{test.only_first} texts only it gets right, {test.only_second} only the baseline; McNemar's exact test, "
            f"p = {test.p:.2g})."
        )

    def _verdict_of_sets(self) -> str:
        best = max(self.rivals, key=lambda rival: rival.macro_f1)
        change = 100 * (self.metrics.macro_f1 - best.macro_f1)
        low, high = (100 * bound for bound in best.gain or (0.0, 0.0))
        if low <= 0 <= high:
            word = "not distinguishable from"
        else:
            word = "significantly better than" if low > 0 else "significantly worse than"
        exact = 100 * (self.metrics.accuracy - best.accuracy)
        return (
            f"This classifier is {word} the best baseline, {best.name} ({change:+.1f} points of macro-F1, with a 95 % "
            f"interval of {low:+.1f} to {high:+.1f}; {exact:+.1f} points of exact match, McNemar's exact test, "
            f"p = {best.test.p:.2g})."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what the manifest keeps beside the metrics."""
        values: dict[str, Any] = {"intervals": {"accuracy": [*self.accuracy], "macro_f1": [*self.macro_f1]}}
        if self.micro_f1 is not None:
            values["intervals"]["micro_f1"] = [*self.micro_f1]
        if self.rivals:
            values["baselines"] = {rival.name: rival.to_dict() for rival in self.rivals}
            values["verdict"] = self.verdict()
        if self.calibration is not None:
            values["calibration"] = self.calibration.to_dict()
        return values


def figures_of(judged: Judged, baselines: Sequence[Baseline] = (), calibration: Calibration | None = None) -> Figures:
    """Compute the figures."""
    if judged.sets is not None:
        return _figures_of_sets(judged.sets, judged.labels, baselines)
    metrics = measure(judged.truth, judged.answers, judged.labels)
    names, (truth, answers) = numbered(judged.truth, judged.answers)
    samples = bootstrap(truth, answers, len(names))
    column = {name: index for index, name in enumerate(names)}
    right = truth == answers
    rivals = []
    for baseline in baselines:
        theirs = measure(judged.truth, baseline.answers, judged.labels)
        all_names, (true_of, given) = numbered(judged.truth, [*baseline.answers])
        hits = true_of == given
        rivals.append(
            Rival(
                baseline.name,
                baseline.about,
                baseline.seconds,
                theirs.accuracy,
                wilson(int(hits.sum()), len(hits)),
                theirs.macro_f1,
                interval(bootstrap(true_of, given, len(all_names)).macro),
                mcnemar(right, hits),
            )
        )
    return Figures(
        metrics,
        wilson(int(right.sum()), len(right)),
        interval(samples.macro),
        [interval(samples.labels[:, column[row.label]]) for row in metrics.labels],
        rivals,
        calibration,
    )


def _figures_of_sets(
    sets: tuple[list[LabelSet], list[LabelSet | None]], labels: Sequence[str], baselines: Sequence[Baseline]
) -> Figures:
    """Return the same of sets of labels; accuracy is exact match."""
    truth, answers = sets
    metrics = measure_sets(truth, answers, labels)
    names = [row.label for row in metrics.labels]
    given = answered(truth, answers, names)
    samples = bootstrap_sets(label_table(truth, names), given)
    return Figures(
        metrics,
        wilson(int(given.right.sum()), len(truth)),
        interval(samples.macro),
        [interval(samples.labels[:, column]) for column in range(len(names))],
        [_rival_of_sets(baseline, truth, answers, labels) for baseline in baselines],
        micro_f1=_interval_of(samples.micro),
    )


def _rival_of_sets(
    baseline: Baseline, truth: list[LabelSet], answers: list[LabelSet | None], labels: Sequence[str]
) -> Rival:
    theirs = baseline.sets or []
    metrics = measure_sets(truth, theirs, labels)
    names = sorted({label for part in (truth, answers, theirs) for chosen in part for label in chosen or ()})
    true_of, ours, given = label_table(truth, names), answered(truth, answers, names), answered(truth, theirs, names)
    samples = bootstrap_sets(true_of, given)
    return Rival(
        baseline.name,
        baseline.about,
        baseline.seconds,
        metrics.accuracy,
        wilson(int(given.right.sum()), len(truth)),
        metrics.macro_f1,
        interval(samples.macro),
        mcnemar(ours.right, given.right),
        metrics.micro_f1,
        _interval_of(samples.micro),
        interval(paired_bootstrap_sets(true_of, given, ours).macro_f1),
    )


def _interval_of(samples: npt.NDArray[np.float64] | None) -> Interval | None:
    return None if samples is None else interval(samples)


def calibrate(judged: Judged, temperature: float, fitted: Judged | None = None) -> Calibration | None:
    """Return the calibration errors, None without scores or for sets of labels; ``fitted``: those it was fitted to."""
    if not len(judged.rows) or judged.sets is not None:
        return None
    before, after = _bins(judged, 1.0), _bins(judged, temperature)
    others = None
    if fitted is not None and len(fitted.rows):
        others = calibration_error(_bins(fitted, 1.0)), calibration_error(_bins(fitted, temperature))
    return Calibration(
        temperature, calibration_error(before), calibration_error(after), before, after, *(others or (None, None))
    )


def _bins(judged: Judged, temperature: float) -> list[Bin]:
    chances = probabilities(judged.logits, temperature)
    return reliability(chances.max(axis=1), chances.argmax(axis=1) == judged.targets())


def confused_pairs(judged: Judged, most: int = 10) -> list[tuple[str, str, list[int]]]:
    """Return (truth, answer, numbers of the texts), the most frequent confusions first."""
    rows: dict[tuple[str, str], list[int]] = {}
    for row, (truth, answer) in enumerate(zip(judged.truth, judged.answers, strict=True)):
        if answer is not None and answer != truth:
            rows.setdefault((truth, answer), []).append(row)
    ordered = sorted(rows.items(), key=lambda item: (-len(item[1]), item[0]))
    return [(truth, answer, found) for (truth, answer), found in ordered[:most]]


def by_length(judged: Judged, bins: int = 5) -> list[tuple[int, int, Metrics]]:
    """Return (shortest, longest, figures) of bins of about equally many texts, by their count of tokens."""
    if not len(judged.rows):
        return []
    borders = np.unique(np.quantile(judged.tokens, np.linspace(0, 1, bins + 1)[1:-1], method="lower"))
    place = np.searchsorted(borders, judged.tokens, side="left")
    found = []
    for number in np.unique(place):
        chosen = np.flatnonzero(place == number)
        rows = [int(row) for row in judged.rows[chosen]]
        metrics = measure([judged.truth[row] for row in rows], [judged.answers[row] for row in rows], judged.labels)
        found.append((int(judged.tokens[chosen].min()), int(judged.tokens[chosen].max()), metrics))
    return found


def by_frequency(metrics: Metrics, learned: Counter[str]) -> list[tuple[int, int, int, float]]:
    """Return (rarest, most frequent, labels, mean F1) of groups of labels, by how many texts were learned from."""
    edges = (10, 30, 100, 300, 1_000, 3_000, 10_000)
    groups: dict[int, list[tuple[int, float]]] = {}
    for row in metrics.labels:
        count = learned[row.label]
        groups.setdefault(sum(count > edge for edge in edges), []).append((count, row.f1))
    return [
        (min(counts), max(counts), len(counts), sum(scores) / len(scores))
        for _, group in sorted(groups.items())
        for counts, scores in [tuple(zip(*group, strict=True))]
    ]

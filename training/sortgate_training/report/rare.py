"""What logit adjustment would do to rare labels, shown without training again: on texts that were not learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sortgate_training.imbalance import describe_imbalance, log_prior
from sortgate_training.metrics import measure
from sortgate_training.report.judged import Judged
from sortgate_training.report.sections import table
from sortgate_training.report.statistics import Interval, interval, paired_bootstrap

#: Strengths shown; 1 answers as if all labels were equally frequent.
TAUS = (0.0, 0.5, 1.0)


class Adjusted(NamedTuple):
    """Figures with τ·log(a label's share) taken off its score; ``change`` of macro-F1 is from the first τ's."""

    tau: float
    accuracy: float
    macro_f1: float
    change: Interval


def adjust(
    judged: Judged, learned: Mapping[str, int], temperature: float, shift: npt.NDArray[np.float32] | None = None
) -> list[Adjusted]:
    """Return the figures for each of :data:`TAUS` (Menon et al. 2021, eq. 9), empty where labels are about as frequent.

    Args:
        judged: one label a text.
        learned: label to number of texts learned from, of all labels.
        temperature: of the classifier.
        shift: what training took off the logits already (:func:`sortgate_training.imbalance.prior_shift`).
    """
    if describe_imbalance(learned) is None or not len(judged.rows):
        return []
    plain = (judged.logits if shift is None else judged.logits + shift) / temperature
    prior = log_prior([learned[label] for label in judged.labels])
    truth, names = judged.targets(), [str(number) for number in range(-1, len(judged.labels))]
    known = [names[number + 1] for number in truth]
    first: Any = None
    found = []
    for tau in TAUS:
        answers = (plain - tau * prior).argmax(axis=1)
        first = answers if first is None else first
        metrics = measure(known, [names[number + 1] for number in answers])
        # label −1, of texts that no answer can get right, is a row of its own
        samples = paired_bootstrap(truth + 1, first + 1, answers + 1, len(names))
        found.append(Adjusted(tau, metrics.accuracy, metrics.macro_f1, interval(samples.macro_f1)))
    return found


def advise(adjusted: Sequence[Adjusted], favours: Sequence[str] = ()) -> str:
    """Say in a sentence what the figures suggest.

    Args:
        adjusted: from :func:`adjust`.
        favours: what this classifier was trained with (:meth:`sortgate_training.config.TrainingConfig.favours`).
    """
    plain, *others = adjusted
    best = max(others, key=lambda row: row.macro_f1)
    if best.change.low <= 0:
        return "No τ raises macro-F1 by more than chance over that of τ = 0 on these texts."
    gain, cost = best.macro_f1 - plain.macro_f1, plain.accuracy - best.accuracy
    instead = f" instead of {favours[0]}" if favours and favours[0] != "loss.logit_adjustment" else ""
    price = f"costs {100 * cost:.1f} points of accuracy" if cost > 0 else "costs no accuracy"
    return (
        f"τ = {best.tau:g} raises macro-F1 by {100 * gain:.1f} points and {price}: where rare labels matter as much as "
        f"frequent ones, train with --set loss.logit_adjustment={best.tau:g}{instead}."
    )


def section(adjusted: Sequence[Adjusted], trained_with: float, judged_on: str, favours: Sequence[str] = ()) -> str:
    """Return the table, empty where there is nothing to show.

    Args:
        adjusted: from :func:`adjust`.
        trained_with: τ of training.
        judged_on: which texts the figures are of.
        favours: see :func:`advise`.
    """
    if not adjusted:
        return ""
    about = (
        f"The scores of the {judged_on} texts with τ·log(a label's share of the training texts) taken off: the larger "
        "τ, the more often rare labels are given (Menon et al. 2021)."
    )
    if trained_with:
        about += f" This classifier was trained with τ = {trained_with:g}; τ = 0 is without that."
    rows = [
        [f"{row.tau:g}", f"{100 * row.accuracy:.1f}", f"{100 * row.macro_f1:.1f}",
         f"{100 * row.change.low:+.1f} to {100 * row.change.high:+.1f}" if row.tau else ""]
        for row in adjusted
    ]  # fmt: skip
    figures = table(["τ", "accuracy", "macro-F1", "change of macro-F1, 95 % interval"], rows)
    return f"<p>{escape(about)}</p>{figures}<p>{escape(advise(adjusted, favours))}</p>"

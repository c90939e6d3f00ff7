"""Labels of very unequal size: what is said of them, how often texts are drawn, and what logit adjustment takes off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from sortgate.errors import ConfigurationError
from sortgate_training.config import ThresholdsConfig, TrainingConfig

FloatArray = npt.NDArray[np.float32]

#: Largest label to smallest, above which the smaller ones suffer.
IMBALANCED = 10.0


def imbalance(counts: Mapping[str, int]) -> float:
    """Return how many times more texts the largest label has than the smallest."""
    return max(counts.values()) / min(counts.values())


def describe_imbalance(counts: Mapping[str, int]) -> str | None:
    """Name the most and the least frequent label where one has over ten times as many texts as the other."""
    if (ratio := imbalance(counts)) <= IMBALANCED:
        return None
    most, least = max(counts, key=lambda label: counts[label]), min(counts, key=lambda label: counts[label])
    return f"{most!r} has {ratio:.0f} times as many texts as {least!r} ({counts[most]:,} and {counts[least]:,})"


def advise(*, several: bool) -> str:
    """Say what there is for rare labels; ``several`` labels a text have thresholds of their own."""
    options = ["--set loss.class_weights=balanced", *(["--set loss.logit_adjustment=0.5"] if not several else [])]
    return f"look at macro-F1 rather than accuracy; where rare labels matter, compare a run with {' or '.join(options)}"


def check_task(config: TrainingConfig, *, several: bool) -> None:
    """Refuse, before any training, what is for one label a text only, or for several.

    Raises:
        ConfigurationError: it is set, and texts have several labels, or one.
    """
    if several and config.abstain.goal:
        raise ConfigurationError("abstain.goal is for one label a text; with several, set thresholds.goal")
    if not several and config.thresholds.goal != ThresholdsConfig().goal:
        raise ConfigurationError(
            "thresholds.goal is for several labels a text (--label-separator); with one, set abstain.goal"
        )
    for key in config.favours() if several else ():
        if key != "loss.class_weights":
            raise ConfigurationError(
                f"{key} is for one label a text; with several, take loss.class_weights, "
                "beside which each label has a threshold of its own"
            )


def sampling_exponent(sampling: Literal["none", "balanced"] | float) -> float:
    """Return the power of a label's count by which its texts are drawn less often: 0 for none, 1 for balanced."""
    if isinstance(sampling, str):
        return float(sampling == "balanced")
    return sampling


def sampling_rates(
    sampling: Literal["none", "balanced"] | float, targets: npt.NDArray[np.int64], counts: Sequence[int]
) -> npt.NDArray[np.float64] | None:
    """Return how often each text is drawn in an epoch, on average; None where each is learned from once.

    Args:
        sampling: as configured.
        targets: ``[texts]``, label numbers.
        counts: texts of each label, at least one.
    """
    if not (exponent := sampling_exponent(sampling)):
        return None
    weights = np.asarray(counts, dtype=np.float64)[targets] ** -exponent
    rates: npt.NDArray[np.float64] = weights * (len(weights) / weights.sum())
    return rates


def log_prior(counts: Sequence[int]) -> npt.NDArray[np.float64]:
    """Return the logarithm of each label's share of the texts."""
    shares: npt.NDArray[np.float64] = np.log(np.asarray(counts, dtype=np.float64) / sum(counts))
    return shares


def prior_shift(tau: float, counts: Sequence[int]) -> FloatArray | None:
    """Return τ·log(share) of each label: what logits that were learned with it lack to be those of a plain loss.

    Args:
        tau: as configured (Menon et al. 2021, eq. 10).
        counts: training texts of each label.

    Returns:
        ``[labels]``, or None where τ is 0.
    """
    return (tau * log_prior(counts)).astype(np.float32) if tau else None

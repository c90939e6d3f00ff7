"""Temperature scaling: makes scores mean what they say (Guo et al. 2017, arXiv 1706.04599)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

#: Beyond these the validation part was too small or too easy to say anything.
LOWEST, HIGHEST = 0.25, 8.0
_GOLDEN = (5**0.5 - 1) / 2


def fit_temperature(logits: npt.NDArray[np.float32], targets: npt.NDArray[Any]) -> float:
    """Return the temperature with the least negative log-likelihood, by golden-section search over its logarithm.

    Args:
        logits: ``[texts, labels]`` of texts that were not learned from.
        targets: ``[texts]``, their labels' numbers; or ``[texts, labels]``, whether a text has a label.
    """
    low, high = np.log(LOWEST), np.log(HIGHEST)
    while high - low > 1e-4:
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if negative_log_likelihood(logits, targets, np.exp(left)) < negative_log_likelihood(
            logits, targets, np.exp(right)
        ):
            high = right
        else:
            low = left
    return round(float(np.exp((low + high) / 2)), 4)


def negative_log_likelihood(
    logits: npt.NDArray[np.float32], targets: npt.NDArray[Any], temperature: float = 1.0
) -> float:
    """Return the mean of a text's −log p(its label), or of the sum over labels where a text has any number of them."""
    scaled = logits.astype(np.float64) / temperature
    if targets.ndim == 2:
        return float(np.logaddexp(0.0, np.where(targets, -scaled, scaled)).sum(axis=1).mean())
    scaled -= scaled.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(scaled).sum(axis=1))
    return float((log_sum - scaled[np.arange(len(targets)), targets]).mean())

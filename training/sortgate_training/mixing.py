"""How much each path of a bundle counts: the factors of their logits that suit the validation texts best."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, log_softmax

FloatArray = npt.NDArray[np.float32]

#: Keeps factors finite where validation texts are all right, and bounds the loops.
_PENALTY, _TURNS = 1e-3, 25
#: Largest factor of a path's logits.
MOST = 4.0


def mix(ngram: FloatArray, recurrent: FloatArray, targets: npt.NDArray[Any]) -> tuple[float, float]:
    """Return the factors of both paths' logits, 0 to 4, whose sum has the least negative log-likelihood.

    A product of experts (Hinton 2002) with two weights; the likelihood, under softmax or sigmoid, is concave in them,
    so Newton's method, halving steps that overshoot, ends at its only maximum.

    Args:
        ngram: ``[texts, labels]`` of texts that neither learned from.
        recurrent: the same.
        targets: ``[texts]`` numbers of labels; or ``[texts, labels]``, whether a text has a label.
    """
    both = np.stack([ngram, recurrent]).astype(np.float64)  # [2, texts, labels]
    likelihood = _softmax if targets.ndim == 1 else _sigmoid

    def judge(factors: npt.NDArray[np.float64]) -> float:
        """Return the penalised log-likelihood."""
        return likelihood(both, factors, targets)[0] - 0.5 * _PENALTY * float((factors**2).sum())

    factors = np.array([0.5, 0.5])
    value = judge(factors)
    for _ in range(_TURNS):
        _, gradient, second = likelihood(both, factors, targets)
        gradient = gradient - _PENALTY * factors
        second = second + _PENALTY * np.eye(2)
        # a factor at its bound that would leave stays, and the other goes to its own best
        free = ~((factors <= 0.0) & (gradient < 0) | (factors >= MOST) & (gradient > 0))
        step = np.zeros(2)
        step[free] = np.linalg.solve(second[np.ix_(free, free)], gradient[free])
        for _ in range(_TURNS):
            tried = np.clip(factors + step, 0.0, MOST)
            reached = judge(tried)
            if reached >= value:
                break
            step /= 2.0
        else:
            break
        moved = float(np.abs(tried - factors).max())
        factors, value = tried, reached
        if moved < 1e-6:
            break
    return float(factors[0]), float(factors[1])


def _softmax(both: Any, factors: Any, targets: Any) -> tuple[float, Any, Any]:
    """Return the log-likelihood, its gradient ``[2]`` and its negative second derivative ``[2, 2]``."""
    rows = np.arange(len(targets))
    logs = log_softmax(np.tensordot(factors, both, 1), axis=1)
    chances = np.exp(logs)
    expected = (both * chances).sum(axis=2)  # [2, texts]
    gradient = (both[:, rows, targets] - expected).sum(axis=1)
    second = np.einsum("atl,btl,tl->ab", both, both, chances) - expected @ expected.T
    return float(logs[rows, targets].sum()), gradient, second


def _sigmoid(both: Any, factors: Any, targets: Any) -> tuple[float, Any, Any]:
    """Return the same of labels that are given each by itself."""
    logits = np.tensordot(factors, both, 1)
    chances = expit(logits)
    value = float(-np.logaddexp(0.0, np.where(targets, -logits, logits)).sum())
    gradient = np.einsum("atl,tl->a", both, targets - chances)
    return value, gradient, np.einsum("atl,btl,tl->ab", both, both, chances * (1.0 - chances))

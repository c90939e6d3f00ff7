"""Logistic regressions on sparse features: one softmax over all labels, or a sigmoid for each of a set's.

The penalty may be weaker for weights that their counts speak for. With ``r`` the log-ratio of Wang & Manning 2012
("Baselines and Bigrams", NBSVM) of a feature and a label, the weight is ``√((1 + k · r² / mean r²) / (1 + k))`` times
one that the usual penalty falls on. So what is rare, or spread evenly over the labels, is trusted less: the name, say,
that a text shares with few others. The regression then holds better for texts of other subjects.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import torch

from sortgate.errors import TrainingError
from sortgate_training.calibration import negative_log_likelihood
from sortgate_training.features import Features

#: Inverse strengths of the penalty that are tried, weakest model first.
STRENGTHS = (1.0, 4.0, 16.0, 64.0, 256.0)
#: How much the ratios count at first, and what is tried then: more, and, if that is no better, nothing at all.
RATIOS, OTHER_RATIOS = 1.0, (4.0, 0.0)
#: Regressions fitted at once where texts have sets of labels: their weights and L-BFGS's memory are dense.
_AT_ONCE = 64
#: Texts with the feature that each side of a ratio counts besides its own.
_SMOOTHING = 1.0


class Penalty(NamedTuple):
    """What falls on a regression's weights.

    Attributes:
        strength: inverse, one of :data:`STRENGTHS`.
        ratios: ``k``, how much the log-ratios count; 0 for the usual penalty.
    """

    strength: float
    ratios: float = 0.0


class Fit(NamedTuple):
    """Weights ``[labels, features]`` and ``[labels]``, and the penalties of the fits that led there, its own last.

    Each fit begins where the one before ended, and may end early, so that all of them count.
    """

    penalties: tuple[Penalty, ...]
    coefficients: Any
    intercept: Any


class Regression:
    """The training texts, on which regressions of several penalties are fitted, each from where the last one ended.

    Args:
        x: features ``[texts, features]``.
        targets: ``[texts]`` numbers of labels; or ``[texts, labels]``, whether a text has a label.
        labels: how many there are.
        iterations: of L-BFGS, at most; an early end is a further penalty, which validation judges like the other.
    """

    def __init__(self, x: Features, targets: npt.NDArray[Any], labels: int, iterations: int) -> None:
        self._x = x
        self._sets = targets.ndim == 2
        self._truth = (targets if self._sets else np.eye(labels)[targets]).astype(np.float32)
        self._iterations = iterations
        self._squares: Any = None
        self._weights = np.zeros((x.shape[1], labels), np.float32)
        self._intercept = np.zeros(labels, np.float32)

    def search(self, held_out: Features, targets: npt.NDArray[Any]) -> Fit:
        """Return the best on held-out texts: of growing strengths until the loss rises, then with other ratios."""
        best = self._climb(RATIOS, STRENGTHS, held_out, targets, None)
        for ratios in OTHER_RATIOS:
            reached = best[1].penalties[-1].strength
            found = self._climb(ratios, STRENGTHS[STRENGTHS.index(reached) :], held_out, targets, best)
            if found is not best:
                return found[1]
        return best[1]

    def _climb(
        self, ratios: float, strengths: tuple[float, ...], held_out: Any, targets: Any, best: tuple[float, Fit] | None
    ) -> tuple[float, Fit]:
        """Return ``best``, a loss and its fit, or what is better, from which the next fit begins."""
        for strength in strengths:
            fit = self._fit((*(best[1].penalties if best else ()), Penalty(strength, ratios)))
            logits = held_out @ torch.from_numpy(fit.coefficients.T.copy()) + torch.from_numpy(fit.intercept)
            loss = negative_log_likelihood(logits.numpy(), targets)
            if best is None and not math.isfinite(loss):
                raise TrainingError("the n-gram path's loss is not finite: train without it, ngrams.enabled=false")
            if best is not None and not loss < best[0]:  # nor if it is no number
                self._weights, self._intercept = best[1].coefficients.T.copy(), best[1].intercept.copy()
                break
            best = (loss, fit)
        return cast("tuple[float, Fit]", best)  # the first fit is better than none

    def again(self, penalties: tuple[Penalty, ...]) -> Fit:
        """Return the last of the fits by which a search on other texts has found its best."""
        for number in range(1, len(penalties)):
            self._fit(penalties[:number])
        return self._fit(penalties)

    def _fit(self, penalties: tuple[Penalty, ...]) -> Fit:
        strength, ratios = penalties[-1]
        if ratios and self._squares is None:
            self._squares = _squared_ratios(self._x, self._truth)
        size = _AT_ONCE if self._sets else self._truth.shape[1]
        for start in range(0, self._truth.shape[1], size):
            block = slice(start, start + size)
            scales = np.sqrt((1.0 + ratios * self._squares[:, block]) / (1.0 + ratios)) if ratios else np.float32(1.0)
            self._fit_block(block, strength, scales)
        return Fit(penalties, self._weights.T.copy(), self._intercept.copy())

    def _fit_block(self, block: slice, strength: float, scales: Any) -> None:
        """Move weights ``[features, labels]`` and intercept of some labels.

        One L-BFGS over all of them: it reads the sparse features once a step, not once a step and label.
        """
        truth, x = torch.from_numpy(self._truth[:, block]), self._x
        first = np.concatenate([self._weights[:, block] / scales, self._intercept[None, block]])
        moved = torch.nn.Parameter(torch.from_numpy(first), requires_grad=False)
        factors = torch.from_numpy(np.asarray(scales, dtype=np.float32))

        def loss() -> float:
            weights = moved[:-1]
            logits = x @ (weights * factors) + moved[-1]
            if self._sets:
                losses = torch.where(truth > 0, -logits, logits).logaddexp(torch.zeros(()))
                errors = logits.sigmoid() - truth
            else:
                chances = logits.log_softmax(dim=1)
                losses = -chances * truth
                errors = chances.exp() - truth
            slope = torch.empty_like(moved)
            torch.add(x.gathered(errors) * factors, weights, alpha=1.0 / strength, out=slope[:-1])
            slope[-1] = errors.sum(dim=0, dtype=torch.float64)
            moved.grad = slope
            penalty = 0.5 * weights.square().sum(dtype=torch.float64) / strength
            return float(losses.sum(dtype=torch.float64) + penalty)

        optimizer: Any = torch.optim.LBFGS(
            [moved], max_iter=self._iterations, history_size=6, tolerance_grad=1e-5, line_search_fn="strong_wolfe"
        )
        optimizer.step(loss)
        found = moved.numpy()
        self._weights[:, block], self._intercept[block] = found[:-1] * scales, found[-1]


def _squared_ratios(x: Features, truth: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return ``[features, labels]``, their mean 1."""
    found = x.counts(np.column_stack([truth, np.ones(len(truth), np.float32)]))
    with_label, texts, counts = found[:, :-1], found[:, -1:], truth.sum(axis=0)  # texts that have feature and label
    inside = (with_label + _SMOOTHING) / (counts + 2 * _SMOOTHING)
    outside = (texts - with_label + _SMOOTHING) / (len(truth) - counts + 2 * _SMOOTHING)
    squares = np.log(inside / outside) ** 2
    shares: npt.NDArray[np.float32] = (squares / max(float(squares.mean()), 1e-12)).astype(np.float32)
    return shares

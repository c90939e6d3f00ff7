"""What a trained configuration answers to the validation texts, and how sure a difference between two is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.special import log_softmax

from sortgate_training.judging import answers_of
from sortgate_training.report.statistics import Interval, interval
from sortgate_training.tuning.record import Metric

FloatArray = npt.NDArray[np.float64]

#: Resamples, and numbers of a block of them: bounds the memory.
_RESAMPLES, _BLOCK = 1_000, 4_000_000


class Answers(NamedTuple):
    """Of the validation texts, in their order.

    Attributes:
        given: ``[texts]``, label numbers; or ``[texts, labels]``, whether each label is given.
        losses: ``[texts]``, each text's −log p(its label), or of its labels, added up.
    """

    given: npt.NDArray[Any]
    losses: FloatArray


def answer(
    logits: npt.NDArray[np.float32], targets: npt.NDArray[Any], shift: npt.NDArray[np.float32] | None = None
) -> Answers:
    """Return the answers that logits ``[texts, labels]`` are, with the shift that is taken off for them."""
    exact = logits.astype(np.float64)
    if targets.ndim == 2:
        losses = np.logaddexp(0.0, np.where(targets, -exact, exact)).sum(axis=1)
    else:
        losses = -log_softmax(exact, axis=1)[np.arange(len(targets)), targets]
    return Answers(answers_of(logits if shift is None else logits - shift, targets), losses)


def difference(
    metric: Metric, targets: npt.NDArray[Any], labels: int, first: Sequence[Answers], second: Sequence[Answers]
) -> Interval:
    """Return the 95 % interval of the second's figure minus the first's, by resampling the texts (Efron 1979).

    Paired: both answer the same drawn texts, so that what both get wrong cancels out. Of several trainings of one
    configuration the mean figure counts; how much another seed would change is not in the interval.

    Args:
        metric: of which figure.
        targets: as of :class:`~sortgate_training.batches.EncodedTexts`.
        labels: how many there are.
        first: answers of one configuration, of each training.
        second: of the other one.
    """
    texts = len(targets)
    truth = _table(targets, labels)
    sides = [[_Counted(metric, targets, truth, answers, labels) for answers in side] for side in (first, second)]
    samples = []
    for drawn in _draws(texts):
        one, other = (np.mean([counted.figure(drawn) for counted in side], axis=0) for side in sides)
        samples.append(other - one)
    return interval(np.concatenate(samples))


class _Counted:
    """One training's answers, ready to be summed over drawn texts."""

    def __init__(self, metric: Metric, targets: Any, truth: Any, answers: Answers, labels: int) -> None:
        self._f1 = metric == "macro_f1"
        if self._f1:
            given = _table(answers.given, labels)
            self._hits, self._both = truth.multiply(given).tocsr(), (truth + given).tocsr()
        elif metric == "accuracy":
            right = answers.given == targets
            self._by_text = (right if right.ndim == 1 else right.all(axis=1)).astype(np.float64)
        else:
            self._by_text = answers.losses

    def figure(self, drawn: FloatArray) -> FloatArray:
        """Return the figure of each resample, ``[resamples]``, drawn ``[resamples, texts]`` times each text."""
        if not self._f1:
            means: FloatArray = drawn @ self._by_text / drawn.sum(axis=1)
            return means
        hits, both = drawn @ self._hits, drawn @ self._both
        # a label that a resample neither has nor gives is no part of the mean, as in the figure itself
        f1 = np.divide(2 * hits, both, out=np.zeros_like(both), where=both > 0)
        macro: FloatArray = f1.sum(axis=1) / np.maximum((both > 0).sum(axis=1), 1)
        return macro


def _table(labels_of: Any, labels: int) -> Any:
    """Return ``[texts, labels]``, 1 where a text has the label."""
    if labels_of.ndim == 2:
        return sparse.csr_matrix(labels_of.astype(np.float64))
    rows = np.arange(len(labels_of))
    return sparse.csr_matrix((np.ones(len(rows)), (rows, labels_of)), shape=(len(rows), labels))


def _draws(texts: int) -> Iterator[FloatArray]:
    generator = np.random.default_rng(0)
    block = max(1, min(_RESAMPLES, _BLOCK // texts))
    for start in range(0, _RESAMPLES, block):
        size = min(block, _RESAMPLES - start)
        yield generator.multinomial(texts, np.full(texts, 1.0 / texts), size=size).astype(np.float64)

"""Intervals, tests and curves: functions of the truth and of what was answered, as arrays.

Everything random is seeded, so that the same answers give the same page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.special import softmax
from scipy.stats import binomtest

from sortgate_training.labelling import LabelSet, label_table

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Resamples of a bootstrap (Efron & Tibshirani 1993).
RESAMPLES = 1_000
#: Bins of equal mass of the calibration error.
BINS = 15
_Z = 1.959963984540054
#: Bounds the memory of a bootstrap: resamples are drawn in blocks of about so many numbers.
_BLOCK = 4_000_000


class Interval(NamedTuple):
    """A 95 % interval."""

    low: float
    high: float


class McNemar(NamedTuple):
    """How often only one of two classifiers is right, and the exact test that both are so equally often."""

    only_first: int
    only_second: int
    p: float


class Bin(NamedTuple):
    """Texts of similar confidence: their mean confidence, the share that is right, their number."""

    confidence: float
    accuracy: float
    texts: int


def wilson(right: int, texts: int) -> Interval:
    """Return the 95 % interval of a share (Wilson 1927): sensible also for few texts and near 0 and 1."""
    if not texts:
        return Interval(0.0, 1.0)
    share, square = right / texts, _Z * _Z / texts
    middle = (share + square / 2) / (1 + square)
    half = _Z * np.sqrt(share * (1 - share) / texts + square / texts / 4) / (1 + square)
    return Interval(max(0.0, float(middle - half)), min(1.0, float(middle + half)))


def mcnemar(first_right: BoolArray, second_right: BoolArray) -> McNemar:
    """Return McNemar's exact test (McNemar 1947) on the same texts."""
    first, second = int((first_right & ~second_right).sum()), int((second_right & ~first_right).sum())
    return McNemar(first, second, float(binomtest(first, first + second).pvalue) if first + second else 1.0)


def numbered(truth: Sequence[str], *answers: Sequence[str | None]) -> tuple[list[str], list[IntArray]]:
    """Return all labels that occur, and truth and answers as their numbers, −1 for no answer."""
    parts: list[Sequence[str | None]] = [truth, *answers]
    names = sorted({*truth, *(label for given in answers for label in given if label is not None)})
    number: dict[Any, int] = {name: index for index, name in enumerate(names)}
    return names, [np.array([number.get(label, -1) for label in part], dtype=np.int64) for part in parts]


class F1Samples(NamedTuple):
    """Bootstrap resamples: macro-F1 ``[resamples]`` and F1 by label ``[resamples, labels]``; micro-F1 of sets only."""

    macro: FloatArray
    labels: FloatArray
    accuracy: FloatArray
    micro: FloatArray | None = None


def bootstrap(truth: IntArray, answers: IntArray, labels: int, resamples: int = RESAMPLES, seed: int = 0) -> F1Samples:
    """Resample the texts and return the figures of each resample.

    Only how often each pair of truth and answer occurs matters, so that a resample is one draw of a multinomial over
    the pairs that occur. A label that a resample lacks has no F1 (NaN) and no part in the mean.

    Args:
        truth: label numbers.
        answers: likewise, −1 for none.
        labels: how many there are.
        resamples: how many are drawn.
        seed: of the draws.
    """
    pairs, counts = np.unique(truth * (labels + 1) + (answers + 1), return_counts=True)
    true_of, answer_of = pairs // (labels + 1), pairs % (labels + 1) - 1
    accuracy, parts = [], []
    for drawn in _draws(len(truth), counts / counts.sum(), max(len(pairs), labels), resamples, seed):
        right, f1 = _figures(drawn, true_of, answer_of, labels)
        accuracy.append(right)
        parts.append(f1)
    by_label = np.concatenate(parts)
    return F1Samples(_mean(by_label), by_label, np.concatenate(accuracy))


class Sets(NamedTuple):
    """Answers: which labels were given ``[texts, labels]``, and whether a text's are just the true ones ``[texts]``."""

    given: BoolArray
    right: BoolArray


def answered(truth: Sequence[LabelSet], answers: Sequence[LabelSet | None], names: Sequence[str]) -> Sets:
    """Return the answers as tables; a text that failed, None, has no label, and is wrong even where none is right."""
    right = np.array([given == wanted for given, wanted in zip(answers, truth, strict=True)], dtype=np.bool_)
    return Sets(label_table(answers, names), right)


def bootstrap_sets(truth: BoolArray, answers: Sets, resamples: int = RESAMPLES, seed: int = 0) -> F1Samples:
    """Return the same of sets of labels; the accuracy is exact match.

    Args:
        truth: ``[texts, labels]``, whether a text has a label.
        answers: from :func:`answered`.
        resamples: how many are drawn.
        seed: of the draws.
    """
    texts = len(truth)
    counted = _count_sets(truth, answers)
    parts = [
        _figures_of_sets(drawn, *counted)
        for drawn in _draws(texts, np.full(texts, 1.0 / texts), texts, resamples, seed)
    ]
    accuracy, by_label, micro = (np.concatenate(part) for part in zip(*parts, strict=True))
    return F1Samples(_mean(by_label), by_label, accuracy, micro)


def _count_sets(truth: BoolArray, answers: Sets) -> tuple[BoolArray, FloatArray, FloatArray]:
    """Return which sets are right ``[texts]``, and each label's hits, and true and given ones, ``[texts, labels]``."""
    hits, both = (truth & answers.given).astype(np.float64), truth.astype(np.float64) + answers.given
    return answers.right, hits, both


def _figures_of_sets(
    drawn: IntArray, right: BoolArray, hits: FloatArray, both: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return exact match, F1 by label ``[resamples, labels]``, NaN for one that does not occur, and micro-F1."""
    hit, occurring = 2 * (drawn @ hits), drawn @ both
    with np.errstate(invalid="ignore"):
        return drawn @ right / drawn.sum(axis=1), hit / occurring, hit.sum(axis=1) / occurring.sum(axis=1)


class Differences(NamedTuple):
    """Paired resamples of second minus first, ``[resamples]`` each."""

    accuracy: FloatArray
    macro_f1: FloatArray


class SetDifferences(NamedTuple):
    """The same of sets of labels; accuracy is exact match."""

    accuracy: FloatArray
    macro_f1: FloatArray
    micro_f1: FloatArray


def paired_bootstrap(
    truth: IntArray, first: IntArray, second: IntArray, labels: int, resamples: int = RESAMPLES, seed: int = 0
) -> Differences:
    """Resample the texts, both answers with them; what two classifiers get wrong alike cancels out."""
    width = labels + 1
    triples, counts = np.unique((truth * width + first + 1) * width + second + 1, return_counts=True)
    true_of = triples // width // width
    answers = (triples // width % width - 1, triples % width - 1)
    accuracy, macro = [], []
    for drawn in _draws(len(truth), counts / counts.sum(), max(len(triples), labels), resamples, seed):
        (right, f1), (other_right, other_f1) = (_figures(drawn, true_of, given, labels) for given in answers)
        accuracy.append(other_right - right)
        macro.append(_mean(other_f1) - _mean(f1))
    return Differences(np.concatenate(accuracy), np.concatenate(macro))


def paired_bootstrap_sets(
    truth: BoolArray, first: Sets, second: Sets, resamples: int = RESAMPLES, seed: int = 0
) -> SetDifferences:
    """Return the same of sets of labels; the truth is ``[texts, labels]``."""
    texts = len(truth)
    counted = [_count_sets(truth, answers) for answers in (first, second)]
    parts: tuple[list[FloatArray], list[FloatArray], list[FloatArray]] = ([], [], [])
    for drawn in _draws(texts, np.full(texts, 1.0 / texts), texts, resamples, seed):
        (right, f1, micro), (other_right, other_f1, other_micro) = (_figures_of_sets(drawn, *each) for each in counted)
        changes = (other_right - right, _mean(other_f1) - _mean(f1), other_micro - micro)
        for part, change in zip(parts, changes, strict=True):
            part.append(change)
    return SetDifferences(*map(np.concatenate, parts))


def interval(samples: FloatArray) -> Interval:
    """Return the middle 95 % of the resamples."""
    known = samples[~np.isnan(samples)]
    if not len(known):
        return Interval(0.0, 1.0)
    low, high = np.quantile(known, [0.025, 0.975])
    return Interval(float(low), float(high))


def _draws(texts: int, shares: FloatArray, width: int, resamples: int, seed: int) -> Iterator[IntArray]:
    """Yield blocks of resamples, each how often every kind of text was drawn; ``width`` bounds a block's memory."""
    generator = np.random.default_rng(seed)
    block = max(1, min(resamples, _BLOCK // max(width, 1)))
    for start in range(0, resamples, block):
        yield generator.multinomial(texts, shares, size=min(block, resamples - start))


def _figures(drawn: IntArray, true_of: IntArray, answer_of: IntArray, labels: int) -> tuple[FloatArray, FloatArray]:
    """Return accuracy ``[resamples]`` and F1 by label ``[resamples, labels]``, NaN for a label that does not occur."""
    answered, hits = np.flatnonzero(answer_of >= 0), np.flatnonzero(true_of == answer_of)
    given = _sums(drawn[:, answered], answer_of[answered], labels)
    right = _sums(drawn[:, hits], true_of[hits], labels)
    with np.errstate(invalid="ignore"):
        f1 = 2 * right / (given + _sums(drawn, true_of, labels))
    return right.sum(axis=1) / drawn.sum(axis=1), f1


def _sums(drawn: npt.NDArray[np.int64], columns: IntArray, labels: int) -> FloatArray:
    """Return the columns of ``drawn`` summed by their label, ``[resamples, labels]``."""
    rows = np.arange(len(columns))
    sums: FloatArray = drawn @ sparse.csr_matrix((np.ones(len(columns)), (rows, columns)), shape=(len(columns), labels))
    return sums


def _mean(by_label: FloatArray) -> FloatArray:
    known = ~np.isnan(by_label)
    mean: FloatArray = np.where(known, by_label, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return mean


def probabilities(logits: npt.NDArray[Any], temperature: float = 1.0) -> FloatArray:
    """Return the softmax of ``logits / temperature``, in float64."""
    chances: FloatArray = softmax(logits.astype(np.float64) / temperature, axis=1)
    return chances


def reliability(confidence: FloatArray, right: BoolArray, bins: int = BINS) -> list[Bin]:
    """Return bins of equally many texts, least confident first; texts of equal confidence share a bin."""
    if not len(confidence):
        return []
    order = np.argsort(confidence, kind="stable")
    ordered = confidence[order]
    # a border falls where the confidence changes: neither chance nor the order of the file divides equal scores
    borders = {int(np.searchsorted(ordered, ordered[len(order) * step // bins])) for step in range(1, bins)}
    return [
        Bin(float(confidence[part].mean()), float(right[part].mean()), len(part))
        for part in np.split(order, sorted(borders))
        if len(part)
    ]


def calibration_error(bins: list[Bin]) -> float:
    """Return the expected calibration error (Naeini et al. 2015): the mean distance of confidence and accuracy."""
    texts = sum(part.texts for part in bins)
    return sum(abs(part.confidence - part.accuracy) * part.texts for part in bins) / texts if texts else 0.0


def coverage_curve(confidence: FloatArray, right: BoolArray, points: int = 100) -> list[tuple[float, float, float]]:
    """Return (share answered, accuracy of those, least confidence) when only the surest texts are answered."""
    order = np.argsort(-confidence, kind="stable")
    hits = np.cumsum(right[order])
    if not len(order):
        return []
    ends = np.unique(np.linspace(1, len(order), min(points, len(order))).round().astype(int))
    return [(end / len(order), float(hits[end - 1] / end), float(confidence[order[end - 1]])) for end in ends]


def precision_recall(
    scores: FloatArray, positive: BoolArray, points: int = 100
) -> tuple[list[tuple[float, float]], float]:
    """Return (recall, precision) from the highest score down, and the average precision."""
    total = int(positive.sum())
    if not total:
        return [], 0.0
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(positive[order])
    # texts of equal score come in together
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    precision, recall = hits[ends] / (ends + 1), hits[ends] / total
    average = float((np.diff(recall, prepend=0.0) * precision).sum())
    chosen = np.unique(np.searchsorted(recall, np.linspace(0, 1, points)).clip(max=len(ends) - 1))
    return [(float(recall[at]), float(precision[at])) for at in chosen], average


def suspects(chances: FloatArray, truth: IntArray, most: int = 20) -> list[tuple[int, int]]:
    """Return (row, likelier label) of texts whose label is probably wrong, the likeliest first.

    Confident learning (Northcutt et al. 2021): a label's threshold is its mean chance among the texts that carry it; a
    text counts as another label's when that chance is over its threshold, and the other label is the likeliest such.

    Args:
        chances: ``[texts, labels]``, of texts that were not learned from.
        truth: ``[texts]``, label numbers.
        most: how many to return.
    """
    labels = chances.shape[1]
    thresholds = np.full(labels, np.inf)
    for label in range(labels):
        carried = truth == label
        if carried.any():
            thresholds[label] = chances[carried, label].mean()
    confident = np.where(chances >= thresholds, chances, -1.0)
    likely = confident.argmax(axis=1)
    rows = np.arange(len(truth))
    margin = chances[rows, likely] - chances[rows, truth]
    found = np.flatnonzero((confident.max(axis=1) >= 0) & (likely != truth) & (margin > 0))
    order = found[np.argsort(-margin[found], kind="stable")][:most]
    return [(int(row), int(likely[row])) for row in order]

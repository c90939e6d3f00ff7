"""Judges what will be served on the validation texts, and decides from which scores on labels are given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, softmax
from torch import nn

from sortgate.errors import TrainingError
from sortgate_training.batches import EncodedTexts
from sortgate_training.calibration import negative_log_likelihood
from sortgate_training.config import TrainingConfig
from sortgate_training.history import Judgement
from sortgate_training.labelling import listed
from sortgate_training.logits import torch_logits
from sortgate_training.metrics import macro_f1, measure
from sortgate_training.mixing import FloatArray, mix
from sortgate_training.thresholds import Goal, choose_abstention, choose_thresholds, few_positives, parse_goal


@dataclass(frozen=True)
class Cut:
    """From which scores on labels are given, and what to know about that.

    Attributes:
        thresholds: multi-label only: of each label.
        abstain: single-label only: below this score of the best label there is no answer; None for always one.
        notes: in sentences.
    """

    thresholds: dict[str, float] | None = None
    abstain: float | None = None
    notes: list[str] = field(default_factory=list)

    def answers(self, scaled: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return what calibrated logits ``[texts, labels]`` come to, as a bundle serves it.

        That is whether each label is given, of the same shape; or, of single labels, their numbers ``[texts]``, −1
        where there is no answer.
        """
        if self.thresholds is not None:
            given: npt.NDArray[np.bool_] = expit(scaled.astype(np.float64)) >= np.array([*self.thresholds.values()])
            return given
        numbers: npt.NDArray[np.int64] = scaled.argmax(axis=1)
        if self.abstain is None:
            return numbers
        return np.where(softmax(scaled.astype(np.float64), axis=1).max(axis=1) >= self.abstain, numbers, -1)


def judge(
    module: nn.Module, texts: EncodedTexts, ngram_logits: FloatArray | None = None, shift: FloatArray | None = None
) -> Judgement:
    """Return how good the module is on ``texts``, joined with the n-gram path if there is one: as it will be served."""
    return judge_logits(joined_logits(module, texts, ngram_logits, shift), texts.targets, shift)


def joined_logits(
    module: nn.Module, texts: EncodedTexts, ngram_logits: FloatArray | None = None, shift: FloatArray | None = None
) -> FloatArray:
    """Return logits ``[texts, labels]`` of both paths together, still without the shift.

    ``shift`` is that of the module's logits (:func:`sortgate_training.imbalance.prior_shift`). Both paths are joined,
    and their loss is taken, without it: it is the shares of the labels in the validation texts that decide how likely
    these are. What is served, and so what accuracy and macro-F1 are of, has the shift.
    """
    logits = torch_logits(module, texts)
    if shift is not None:
        logits = logits + shift
    if ngram_logits is not None:
        ngram, recurrent = mix(ngram_logits, logits, texts.targets)
        logits = np.float32(ngram) * ngram_logits + np.float32(recurrent) * logits
    return logits


def judge_logits(
    logits: npt.NDArray[np.float32], targets: npt.NDArray[Any], shift: FloatArray | None = None
) -> Judgement:
    """Return the same of logits; sets of labels as they are with each label's threshold at its best F1.

    ``logits`` are without the shift, which is taken off for the answers.
    """
    loss = negative_log_likelihood(logits, targets)
    given = answers_of(logits if shift is None else logits - shift, targets)
    if targets.ndim == 2:
        return Judgement(loss, float((given == targets).all(axis=1).mean()), macro_f1(targets, given))
    metrics = measure([str(target) for target in targets], [str(answer) for answer in given])
    return Judgement(loss, metrics.accuracy, metrics.macro_f1)


def answers_of(logits: npt.NDArray[np.float32], targets: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return label numbers ``[texts]``; or ``[texts, labels]``, each label from its threshold of the best F1 on."""
    if targets.ndim == 1:
        answers: npt.NDArray[np.int64] = logits.argmax(axis=1)
        return answers
    scores = expit(logits.astype(np.float64))
    given: npt.NDArray[np.bool_] = scores >= choose_thresholds(scores, targets, Goal("f1"))[0]
    return given


def choose_cut(
    scaled: npt.NDArray[np.float32],
    targets: npt.NDArray[Any],
    labels: list[str],
    config: TrainingConfig,
) -> Cut:
    """Return from which scores on labels are given, chosen on the validation texts' calibrated logits.

    Raises:
        TrainingError: no score reaches the goal.
    """
    if targets.ndim == 2:
        goal = parse_goal(config.thresholds.goal)
        thresholds, missed = choose_thresholds(expit(scaled.astype(np.float64)), targets, goal)
        notes = [few_positives(labels, targets)]
        if missed:
            names = listed(labels[label] for label in missed)
            notes.append(
                f"no threshold reaches {config.thresholds.goal} for {len(missed)} labels, hardly given: {names}"
            )
        return Cut(dict(zip(labels, thresholds.round(6).tolist(), strict=True)), None, [note for note in notes if note])
    if config.abstain.goal:
        scores = softmax(scaled.astype(np.float64), axis=1)
        found = choose_abstention(scores.max(axis=1), scores.argmax(axis=1) == targets, parse_goal(config.abstain.goal))
        if found is None:
            raise TrainingError(
                f"no score reaches {config.abstain.goal} on the validation texts: set a lower abstain.goal"
            )
        threshold, precision, coverage = found
        shares = f"{coverage:.1%} of validation texts, {precision:.1%} of them right"
        note = f"answers from a score of {threshold:.3f}: {shares}"
        return Cut(None, threshold, [note])
    return Cut()

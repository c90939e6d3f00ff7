"""Distillation (Hinton, Vinyals & Dean 2015): a student learns what trained bundles think of the texts.

The teachers' probabilities are computed once, as they serve them. They travel with a batch inside its targets, so the
loop and its steps know nothing of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from sortgate.encoded import Encoded
from sortgate.errors import ConfigurationError, DataError
from sortgate.inference import Classifier
from sortgate.textpath import TextPath
from sortgate_training.batches import Batch, EncodedTexts
from sortgate_training.config import DistillationConfig, TrainingConfig
from sortgate_training.data import Corpus
from sortgate_training.encoding import encode_part
from sortgate_training.labelling import listed
from sortgate_training.objective import Loss
from sortgate_training.split import Parts

FloatArray = npt.NDArray[np.float32]

#: Keeps logarithms of a teacher's probabilities finite.
_LEAST = 1e-7
_TASKS = {"single_label": "one label a text", "multi_label": "any number of labels a text"}


@dataclass(frozen=True)
class Teaching:
    """Who teaches, and the texts that only they label.

    Attributes:
        teachers: bundles, whose mean probability counts.
        unlabelled: from :func:`sortgate_training.data.read_unlabelled`; None for none.
    """

    teachers: Sequence[Classifier]
    unlabelled: Corpus | None = None

    def check(self, parts: Parts, config: TrainingConfig) -> None:
        """Refuse teachers of something else, and settings that what they say does not follow.

        Raises:
            ConfigurationError: there is such a setting.
            DataError: a teacher has another task or other labels than the data; names them.
        """
        for key in config.favours():
            raise ConfigurationError(f"{key} is not for distillation: what teachers say knows nothing of it")
        train = parts.train
        for teacher in self.teachers:
            name = f"the teacher {teacher.model_name}"
            task = teacher.manifest.task
            if task != train.task:
                raise DataError(f"{name} gives {_TASKS[task]}, where {train.source} has {_TASKS[train.task]}")
            mine, theirs = train.counts().keys(), set(teacher.labels)
            differences = [
                f"{what} {listed(sorted(names), 3)}"
                for what, names in (("it does not know", mine - theirs), ("no text is labelled", theirs - mine))
                if names
            ]
            if differences:
                raise DataError(f"{name} has other labels than {train.source}: {' and '.join(differences)}")

    def notes(self) -> list[str]:
        """Return what to know of the teachers' scores."""
        return [
            f"the teacher {teacher.model_name} was trained with loss.logit_adjustment: the student learns scores that "
            "favour rare labels"
            for teacher in self.teachers
            if teacher.manifest.training.get("loss", {}).get("logit_adjustment")
        ]

    def apart_from(self, parts: Parts, say: Callable[[str], None]) -> Teaching:
        """Return the same without unlabelled texts that are among the labelled ones, to learn from or to judge by."""
        if self.unlabelled is None:
            return self
        known = {text for _, part in parts.items() for text in part.texts}
        rows = [row for row, text in enumerate(self.unlabelled.texts) if text not in known]
        source = self.unlabelled.source
        if len(rows) < len(self.unlabelled):
            left_out = len(self.unlabelled) - len(rows)
            say(f"{source}: {left_out} of {len(self.unlabelled)} texts are among the labelled ones: left out")
        return replace(self, unlabelled=self.unlabelled.select(rows, source) if rows else None)

    def identity(self) -> dict[str, Any]:
        """Return what two runs must share, as for :func:`sortgate_training.runfolder.identify`."""
        texts = None if self.unlabelled is None else self.unlabelled.facts
        return {"teachers": [teacher.fingerprint for teacher in self.teachers], "unlabelled": texts}

    def record(self) -> list[dict[str, str]]:
        """Return what the bundle keeps of its teachers."""
        return [{"bundle": teacher.model_name, "fingerprint": teacher.fingerprint} for teacher in self.teachers]

    def probabilities(self, texts: Sequence[str], labels: Sequence[str], say: Callable[[str], None]) -> FloatArray:
        """Return the mean of the teachers' calibrated probabilities, ``[texts, labels]``.

        A row is NaN where no teacher can read the text.
        """
        sums, counts = np.zeros((len(texts), len(labels))), np.zeros((len(texts), 1))
        for number, teacher in enumerate(self.teachers, 1):
            say(f"teacher {number} of {len(self.teachers)}, {teacher.model_name}: labelling {len(texts):,} texts")
            items = teacher.text_path.encode(texts)
            rows = [row for row, item in enumerate(items) if isinstance(item, Encoded)]
            if rows:
                logits = teacher.logits([item for item in items if isinstance(item, Encoded)])
                columns = [teacher.labels.index(label) for label in labels]
                sums[rows] += teacher.scorer.scores(logits)[:, columns]
                counts[rows] += 1
        return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan).astype(np.float32)


class TaughtTexts(EncodedTexts):
    """Labelled texts and then unlabelled ones, with the teachers' probabilities ``[texts, labels]``.

    A batch's targets are ``[batch, 2, labels]``: first 1 where the text has the label and else 0, or −1 throughout for
    a text without labels; then the probabilities.
    """

    def __init__(self, labelled: EncodedTexts, unlabelled: EncodedTexts | None, probabilities: FloatArray) -> None:
        super().__init__((), ())
        parts = [labelled] if unlabelled is None else [labelled, unlabelled]
        self.lengths = np.concatenate([part.lengths for part in parts])
        self._ends = np.cumsum(self.lengths)
        self._flat = np.concatenate([part.flat() for part in parts])
        self.targets = labelled.targets
        self.probabilities = probabilities
        # a text that no teacher can read has its own labels for theirs
        unread = np.flatnonzero(np.isnan(probabilities[: len(labelled), 0]))
        probabilities[unread] = self._truth(unread)

    def _truth(self, rows: npt.NDArray[np.int64]) -> FloatArray:
        truth = np.full((len(rows), self.probabilities.shape[1]), -1.0, dtype=np.float32)
        labelled = np.flatnonzero(rows < len(self.targets))
        targets = self.targets[rows[labelled]]
        if targets.ndim == 2:
            truth[labelled] = targets
        else:
            truth[labelled] = 0.0
            truth[labelled, targets] = 1.0
        return truth

    def batch(self, rows: npt.ArrayLike) -> Batch:
        """Return these texts, padded to the longest of them."""
        chosen = np.asarray(rows, dtype=np.int64)
        ids, lengths = self.padded(chosen)
        targets = np.stack([self._truth(chosen), self.probabilities[chosen]], axis=1)
        return Batch(ids, lengths, torch.from_numpy(targets))


def join_taught(
    path: TextPath,
    learned: EncodedTexts,
    unlabelled: Corpus | None,
    probabilities: FloatArray,
    labels: list[str],
    say: Callable[[str], None],
) -> TaughtTexts:
    """Return what a student learns from.

    Args:
        path: the student's.
        learned: the training texts that pass it.
        unlabelled: texts without labels.
        probabilities: the teachers', of all training texts and then of all unlabelled ones.
        labels: of the data.
        say: told of unlabelled texts that are left out.
    """
    if unlabelled is None:
        return TaughtTexts(learned, None, probabilities[learned.rows])
    start = len(probabilities) - len(unlabelled)
    read = np.flatnonzero(~np.isnan(probabilities[start:, 0]))
    if len(read) < len(unlabelled):
        left_out = len(unlabelled) - len(read)
        say(f"{unlabelled.source}: no teacher can read {left_out} of {len(unlabelled)} texts: left out")
    _, more = encode_part(path, unlabelled.select(read.tolist(), unlabelled.source), labels, say)
    return TaughtTexts(learned, more, probabilities[np.concatenate([learned.rows, start + read[more.rows]])])


def create_distillation_loss(labels_loss: Loss, config: DistillationConfig, *, sets: bool) -> Loss:
    """Return the loss over the targets of :class:`TaughtTexts`.

    Of a labelled text it is ``weight · temperature² · cross-entropy(teacher, student)``, both softened by the
    temperature (eq. 1 and section 2.1 of the paper), and ``1 - weight`` of its labels' loss; of an unlabelled text the
    former with all the weight.

    Args:
        labels_loss: of logits and labels; a text's mean.
        config: weight and temperature.
        sets: whether texts have sets of labels, each of which is softened by itself.
    """
    weight, temperature = config.weight, config.temperature

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        truth, taught = targets[:, 0], targets[:, 1]
        labelled = truth[:, 0] >= 0
        soft = (_soft_sets if sets else _soft)(logits / temperature, taught, temperature) * temperature**2
        total = (torch.where(labelled, weight, 1.0) * soft).mean()
        if weight < 1 and bool(labelled.any()):
            answers = truth[labelled] > 0.5 if sets else truth[labelled].argmax(dim=1)
            share = labelled.to(logits.dtype).mean()
            total = total + (1.0 - weight) * share * labels_loss(logits[labelled], answers)
        return total

    return loss


def _soft(scaled: Tensor, taught: Tensor, temperature: float) -> Tensor:
    softened = (taught.clamp_min(_LEAST).log() / temperature).softmax(dim=1)
    return -(softened * scaled.log_softmax(dim=1)).sum(dim=1)


def _soft_sets(scaled: Tensor, taught: Tensor, temperature: float) -> Tensor:
    softened = (taught.clamp(_LEAST, 1.0 - _LEAST).logit() / temperature).sigmoid()
    return nn.functional.binary_cross_entropy_with_logits(scaled, softened, reduction="none").sum(dim=1)

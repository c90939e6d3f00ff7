"""A classifier's answers to labelled texts, with the scores that they rest on."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sortgate.bundle import Manifest
from sortgate.encoded import Encoded
from sortgate.errors import DataError
from sortgate.inference import Classifier
from sortgate.types import Prediction
from sortgate_training.data import Corpus
from sortgate_training.labelling import LabelSet, listed

#: Between the labels of a set, where one string stands for it.
_JOIN = ", "
#: Texts and seconds that the speed is measured over at most.
_SPEED_TEXTS, _SPEED_SECONDS = 2_000, 1.0


@dataclass(frozen=True)
class Judged:
    """Labelled texts and what a classifier says of them.

    Attributes:
        texts: all of them.
        truth: their labels.
        answers: the whole pipeline's labels, post-processors included; None where there is none.
        labels: the classifier's, in the order of the logits.
        rows: numbers of the texts that have logits: the others failed in the text path.
        logits: ``[rows, labels]``, not yet divided by the temperature.
        tokens: ``[rows]``, how many each text has.
        errors: texts that failed.
        truncated: ``[rows]``, how many of these were cut off; None for none.
        sets: multi-label only: the true and the given sets of labels; ``truth`` and ``answers`` are these joined.
    """

    texts: Sequence[str]
    truth: list[str]
    answers: list[str | None]
    labels: tuple[str, ...]
    rows: npt.NDArray[np.int64]
    logits: npt.NDArray[Any]
    tokens: npt.NDArray[np.int64]
    errors: int
    truncated: npt.NDArray[np.int64] | None = None
    sets: tuple[list[LabelSet], list[LabelSet | None]] | None = None

    def targets(self) -> npt.NDArray[np.int64]:
        """Return the label number of each row's truth, −1 for a label that the classifier does not know."""
        number = {label: index for index, label in enumerate(self.labels)}
        return np.array([number.get(self.truth[row], -1) for row in self.rows], dtype=np.int64)


def judge_corpus(classifier: Classifier, corpus: Corpus) -> Judged:
    """Classify the texts of a corpus, whichever its task is."""
    if corpus.sets is None:
        return judge_texts(classifier, corpus.texts, corpus.labels)
    predictions, judged = _judge(classifier, corpus.texts)
    given = [
        None if made is None or made.error else tuple(sorted(entry.label for entry in made.labels))
        for made in predictions
    ]
    joined = [None if names is None else _JOIN.join(names) for names in given]
    return replace(
        judged, truth=[_JOIN.join(names) for names in corpus.sets], answers=joined, sets=(list(corpus.sets), given)
    )


def judge_texts(classifier: Classifier, texts: Sequence[str], truth: Sequence[str]) -> Judged:
    """Classify ``texts``, computing each logit once."""
    predictions, judged = _judge(classifier, texts)
    return replace(judged, truth=list(truth), answers=[None if made is None else made.label for made in predictions])


def _judge(classifier: Classifier, texts: Sequence[str]) -> tuple[list[Prediction | None], Judged]:
    """Return each text's prediction, None where it failed, and all that does not depend on the task."""
    encoded = classifier.text_path.encode(texts)
    kept = [row for row, item in enumerate(encoded) if isinstance(item, Encoded)]
    good = [item for item in encoded if isinstance(item, Encoded)]
    predictions: list[Prediction | None] = [None] * len(encoded)
    logits: Any = np.zeros((0, len(classifier.labels)))
    if good:
        logits = classifier.logits(good)
        made = classifier.scorer.predict(logits, [item.truncated for item in good])
        for row, prediction in zip(kept, classifier.text_path.postprocess(made, good, repeatable=True), strict=True):
            predictions[row] = prediction
    truncated = np.array([item.truncated for item in good], dtype=np.int64)
    tokens = np.array([len(item) for item in good], dtype=np.int64) + truncated
    rows = np.array(kept, dtype=np.int64)
    errors = len(encoded) - len(kept)
    return predictions, Judged(texts, [], [], classifier.labels, rows, logits, tokens, errors, truncated)


def check_known(judged: Judged, source: str, model: str) -> None:
    """Refuse texts none of whose labels the classifier can give: the columns or the bundle were mistaken.

    Raises:
        DataError: names some of the labels of both.
    """
    sets = judged.sets or ([(label,) for label in judged.truth], [(label,) for label in judged.answers if label])
    truth, given = ({name for names in part for name in names or ()} for part in sets)
    known = given | {*judged.labels}  # post-processors may rename labels
    if truth and not truth & known:
        some, others = (listed(sorted(names), 3) for names in (truth, known))
        raise DataError(f"{source}: none of its labels ({some}) is one of {model}'s ({others})")


def learned_note(manifest: Manifest, source: str, facts: Mapping[str, Any]) -> str | None:
    """Say that a file was learned from, whose figures are too good; None for files that are new to the bundle.

    Args:
        manifest: of the bundle to judge.
        source: names the files to judge on.
        facts: of these, with their digests (:func:`sortgate_training.data.read_corpus`).
    """
    # without a second training, validation texts have only chosen
    parts = ("train", "validation") if "refit" in manifest.metrics else ("train",)
    known = {digest for part in parts for digest in _digests(manifest.data.get(part, {}))}
    if not known & {*_digests(facts)}:
        return None
    return f"{source}: {manifest.name} was trained from texts of this very file: figures of new texts are lower"


def _digests(facts: Mapping[str, Any]) -> list[str]:
    return [file["sha256"] for file in facts.get("files", [facts]) if "sha256" in file]


def texts_per_second(classifier: Classifier, texts: Sequence[str], rows: int = 256) -> float:
    """Return how many texts a second the whole pipeline answers; of a classifier with one thread: on one core."""
    if not texts:
        return 0.0
    classifier(texts[:8])  # starts ONNX Runtime
    done, started = 0, time.perf_counter()
    while done < min(len(texts), _SPEED_TEXTS) and time.perf_counter() - started < _SPEED_SECONDS:
        done += len(classifier(texts[done : done + rows]))
    return done / (time.perf_counter() - started)

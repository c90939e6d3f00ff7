"""Judges a classifier's answers, whichever its task is."""

from __future__ import annotations

from collections.abc import Sequence

from sortgate.types import Prediction
from sortgate_training.data import Corpus
from sortgate_training.metrics import Metrics, measure, measure_sets


def compare(corpus: Corpus, answers: Sequence[Prediction], labels: Sequence[str]) -> Metrics:
    """Measure a classifier's answers to the texts of a corpus, whichever the task is."""
    if corpus.sets is None:
        return measure(corpus.labels, [answer.label for answer in answers], labels)
    given = [None if answer.error else [entry.label for entry in answer.labels] for answer in answers]
    return measure_sets(corpus.sets, given, labels)

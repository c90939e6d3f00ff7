"""fastText as a user would run it, for the accuracy benchmark: ``pip install fasttext-wheel==0.9.2``.

Settings are those at which its tutorial on text classification arrives (pairs of words, 25 epochs, learning rate 1.0;
https://fasttext.cc/docs/en/supervised-tutorial.html), and its way to prepare texts: lower case, punctuation apart.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sortgate_training.data import Corpus
from sortgate_training.labelling import LabelSet, label_table
from sortgate_training.thresholds import Goal, choose_thresholds

_APART = re.compile(r"([.!?,'/()\"])")
SETTINGS = {"wordNgrams": 2, "epoch": 25, "lr": 1.0, "dim": 100, "seed": 0}


def prepared(text: str) -> str:
    """Return a text on one line, as the tutorial prepares it."""
    return " ".join(_APART.sub(r" \1 ", text).lower().split())


def answer(learned: Corpus, texts: Sequence[str], held_out: Corpus | None = None) -> list[LabelSet] | None:
    """Return a set of labels for each text; None where fastText is not installed.

    Args:
        learned: what is learned from.
        texts: to answer.
        held_out: several labels a text only: what each label's threshold is chosen on before these texts teach, too, as
            for the other baselines.
    """
    try:
        import fasttext
    except ImportError:
        return None
    labels = sorted(learned.counts())
    model = _train(fasttext, [learned], labels)
    if held_out is None:
        return [(labels[best],) for best in _scores(model, texts, len(labels)).argmax(axis=1)]
    judged = _scores(model, held_out.texts, len(labels))
    thresholds = choose_thresholds(judged, label_table(held_out.label_sets, labels), Goal("f1"))[0]
    scores = _scores(_train(fasttext, [learned, held_out], labels), texts, len(labels))
    return [tuple(labels[column] for column in np.flatnonzero(row >= thresholds)) for row in scores]


def _train(fasttext: Any, corpora: Sequence[Corpus], labels: list[str]) -> Any:
    """Return a model of these texts; labels that are not among ``labels`` are left out."""
    number = {label: index for index, label in enumerate(labels)}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "train.txt"
        with file.open("w", encoding="utf-8") as lines:
            for corpus in corpora:
                for text, names in zip(corpus.texts, corpus.label_sets, strict=True):
                    marks = " ".join(f"__label__{number[name]}" for name in names if name in number)
                    lines.write(f"{marks} {prepared(text)}\n")
        loss = "softmax" if corpora[0].sets is None else "ova"
        return fasttext.train_supervised(str(file), loss=loss, thread=1, verbose=0, **SETTINGS)


def _scores(model: Any, texts: Sequence[str], labels: int) -> Any:
    """Return ``[texts, labels]``; the binding's own ``predict`` does not work with NumPy 2."""
    scores = np.zeros((len(texts), labels))
    for row, text in enumerate(texts):
        for score, name in model.f.predict(f"{prepared(text)}\n", labels, 0.0, "strict"):
            scores[row, int(name.removeprefix("__label__"))] = score
    return scores

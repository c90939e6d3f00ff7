"""What a user would take instead of a network: TF-IDF with a linear support vector machine, in two sizes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.svm import LinearSVC

from sortgate_training.data import Corpus

#: With ``auto``, most characters of training text: 10 million took half a minute of one core and 1 GB of memory, 30
#: million three quarters of a minute and 2.6 GB.
AUTO_CHARACTERS = 20_000_000
#: Likewise of characters times labels, since there is one machine a label.
AUTO_WORK = 1_000_000_000


@dataclass(frozen=True)
class Baseline:
    """One baseline's answers to the judged texts."""

    name: str
    about: str
    answers: list[str]
    seconds: float


def skipping(wanted: bool | Literal["auto"], texts: Sequence[str], labels: int) -> str:
    """Say why no baseline is trained, nothing when they are."""
    if wanted == "auto":
        characters = sum(map(len, texts))
        if characters > AUTO_CHARACTERS or characters * labels > AUTO_WORK:
            return (
                "no baselines were trained: with this much text they would take minutes and gigabytes; "
                "report.baselines=true trains them all the same"
            )
        return ""
    return "" if wanted else "no baselines were trained: report.baselines is false"


def train_baselines(
    learned: Corpus, texts: Sequence[str], say: Callable[[str], None] = lambda _: None
) -> tuple[list[Baseline], str]:
    """Train both baselines and answer ``texts``; also returns a sentence on what is missing, or nothing.

    B1 is TF-IDF of words and pairs of words, B2 the same with the character 2- to 5-grams of words beside it, both with
    logarithmic counts and scikit-learn's defaults otherwise. Ctrl-C skips what is left: the classifier is worth more.
    """
    made: list[Baseline] = []
    try:
        started = time.perf_counter()
        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
        known, asked = words.fit_transform(learned.texts), words.transform(texts)
        made.append(_answer("B1", "TF-IDF of words and pairs of words, linear SVM", known, asked, learned, started))
        characters = CharacterTfidf()
        known = sparse.hstack([known, characters.fit_transform(learned.texts)]).tocsr()
        asked = sparse.hstack([asked, characters.transform(texts)]).tocsr()
        made.append(_answer("B2", "the same with character 2–5-grams beside them", known, asked, learned, started))
    except ValueError as error:  # no text has a word of two letters
        return made, f"a baseline could not be trained: {error}"
    except KeyboardInterrupt:
        say("stopped by Ctrl-C: the remaining baselines are skipped")
        return made, "the remaining baselines were skipped by Ctrl-C"
    except MemoryError:
        return made, "the remaining baselines did not fit into memory"
    return made, ""


def _answer(name: str, about: str, known: Any, asked: Any, learned: Corpus, started: float) -> Baseline:
    model = LinearSVC().fit(known, learned.labels)
    return Baseline(name, about, [str(label) for label in model.predict(asked)], time.perf_counter() - started)


class CharacterTfidf:
    """scikit-learn's TF-IDF of ``char_wb`` 2- to 5-grams with ``min_df=2``, counted once a distinct word.

    A text's n-grams are the sum of its words', so that most of the work is done for the vocabulary and not for the
    text: the same numbers several times as fast.
    """

    def __init__(self) -> None:
        self._words = CountVectorizer(analyzer=str.split)
        self._ngrams = CountVectorizer(analyzer="char_wb", ngram_range=(2, 5), lowercase=False, dtype=np.float64)
        self._tfidf = TfidfTransformer(sublinear_tf=True)
        self._of_word: Any = None
        self._kept: Any = None

    def fit_transform(self, texts: Sequence[str]) -> Any:
        """Learn the n-grams that at least two texts have; returns ``[texts, n-grams]``."""
        counts = self._words.fit_transform([text.lower() for text in texts])
        of_word = self._ngrams.fit_transform(self._words.get_feature_names_out())
        product = counts.astype(np.float64) @ of_word
        self._kept = np.flatnonzero(np.bincount(product.indices, minlength=product.shape[1]) >= 2)
        return self._tfidf.fit_transform(product[:, self._kept])

    def transform(self, texts: Sequence[str]) -> Any:
        """Return ``[texts, n-grams]``."""
        words = CountVectorizer(analyzer=str.split)
        counts = words.fit_transform([text.lower() for text in texts])
        of_word = self._ngrams.transform(words.get_feature_names_out())
        return self._tfidf.transform((counts.astype(np.float64) @ of_word)[:, self._kept])

"""What a user would take instead of a network: TF-IDF with a linear support vector machine, in two sizes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import sparse
from scipy.special import expit
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.svm import LinearSVC

from sortgate_training.data import Corpus
from sortgate_training.labelling import LabelSet, label_table
from sortgate_training.thresholds import Goal, choose_thresholds

#: With ``auto``, most characters of training text: 10 million took half a minute of one core and 1 GB of memory, 30
#: million three quarters of a minute and 2.6 GB.
AUTO_CHARACTERS = 20_000_000
#: Likewise of characters times labels, since there is one machine a label.
AUTO_WORK = 1_000_000_000
#: The same where a text may have several labels, which are harder to tell apart: 20 million took half a minute.
AUTO_WORK_OF_SETS = 40_000_000


@dataclass(frozen=True)
class Baseline:
    """One baseline's answers to the judged texts; ``sets`` in place of ``answers`` where texts have several labels."""

    name: str
    about: str
    answers: list[str]
    seconds: float
    sets: list[LabelSet] | None = None


def skipping(wanted: bool | Literal["auto"], texts: Sequence[str], labels: int, *, several: bool = False) -> str:
    """Say why no baseline is trained, nothing when they are; ``several``: a text may have several labels."""
    if wanted == "auto":
        characters = sum(map(len, texts))
        if characters > AUTO_CHARACTERS or characters * labels > (AUTO_WORK_OF_SETS if several else AUTO_WORK):
            return (
                "no baselines were trained: with this much text they would take minutes and gigabytes; "
                "report.baselines=true trains them all the same"
            )
        return ""
    return "" if wanted else "no baselines were trained: report.baselines is false"


def train_baselines(
    learned: Corpus,
    texts: Sequence[str],
    say: Callable[[str], None] = lambda _: None,
    *,
    held_out: Corpus | None = None,
    goal: Goal | None = None,
    again: bool = False,
) -> tuple[list[Baseline], str]:
    """Train both baselines and answer ``texts``; also returns a sentence on what is missing, or nothing.

    B1 is TF-IDF of words and pairs of words, B2 the same with the character 2- to 5-grams of words beside it, both with
    logarithmic counts and scikit-learn's defaults otherwise. Ctrl-C skips what is left: the classifier is worth more.

    Args:
        learned: what is learned from.
        texts: to answer.
        say: told when the user stops it.
        held_out: several labels a text only: the texts that each label's threshold is chosen on.
        goal: several labels a text only: what thresholds are chosen for.
        again: several labels a text only: train once more from both when the thresholds are chosen.
    """
    made: list[Baseline] = []
    parts = [texts, held_out.texts] if held_out is not None else [texts]

    def answer(name: str, about: str, known: Any, asked: list[Any], started: float) -> Baseline:
        if held_out is None or goal is None:
            return _answer(name, about, known, asked[0], learned, started)
        return _answer_sets(name, about, known, asked, (learned, held_out), goal, started, again=again)

    try:
        started = time.perf_counter()
        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
        known, asked = words.fit_transform(learned.texts), [words.transform(part) for part in parts]
        made.append(answer("B1", "TF-IDF of words and pairs of words, linear SVM", known, asked, started))
        characters = CharacterTfidf()
        known = sparse.hstack([known, characters.fit_transform(learned.texts)]).tocsr()
        asked = [
            sparse.hstack([each, characters.transform(part)]).tocsr() for each, part in zip(asked, parts, strict=True)
        ]
        made.append(answer("B2", "the same with character 2–5-grams beside them", known, asked, started))
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


def _answer_sets(
    name: str,
    about: str,
    known: Any,
    asked: list[Any],
    corpora: tuple[Corpus, Corpus],
    goal: Goal,
    started: float,
    *,
    again: bool,
) -> Baseline:
    """Train one machine a label, choose its threshold on the held-out texts, and give every label that reaches it."""
    labels = sorted(corpora[0].counts())
    truth, wanted = (label_table(corpus.label_sets, labels) for corpus in corpora)
    answered, judged = (np.zeros((each.shape[0], len(labels))) for each in asked)
    both, known_of_both = np.concatenate([truth, wanted]), sparse.vstack([known, asked[1]]).tocsr() if again else None
    for column in range(len(labels)):
        if truth[:, column].all():  # nothing to tell it from
            answered[:, column] = judged[:, column] = 1.0
            continue
        model = LinearSVC().fit(known, truth[:, column])
        # any increasing function of the distance would do; thresholds are shares
        answered[:, column], judged[:, column] = (expit(model.decision_function(each)) for each in asked)
        if again:
            model = LinearSVC().fit(known_of_both, both[:, column])
            answered[:, column] = expit(model.decision_function(asked[0]))
    given = answered >= choose_thresholds(judged, wanted, goal)[0]
    sets = [tuple(labels[column] for column in np.flatnonzero(row)) for row in given]
    return Baseline(name, about, [], time.perf_counter() - started, sets)


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

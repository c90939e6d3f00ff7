"""The baselines: the same as scikit-learn's own, cheaper, and never in the way."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from sortgate_training.data import Corpus
from sortgate_training.report import baselines
from sortgate_training.report.baselines import CharacterTfidf, skipping, train_baselines

Rows = list[tuple[str, str]]
TEXTS = ["Hello, hello WORLD", "a bc  def\tghi", "the world's end ΑΣ", "straße 日本 a", "hello the end", ""]


def test_characters_are_scikit_learn_s() -> None:
    plain = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=2)
    ours = CharacterTfidf()
    for expected, found in (
        (plain.fit_transform(TEXTS), ours.fit_transform(TEXTS)),
        (plain.transform(["hello unseen", "end"]), ours.transform(["hello unseen", "end"])),
    ):
        assert found.shape == expected.shape
        # the order of the columns is the vectorizer's own affair
        assert np.allclose(np.sort(found.toarray()), np.sort(expected.toarray()))


def test_both_learn(rows: Callable[..., Rows]) -> None:
    texts, labels = zip(*rows(300), strict=True)
    asked, truth = zip(*rows(100, seed=1), strict=True)
    made, missing = train_baselines(Corpus(list(texts), list(labels), "x"), asked)
    assert ([baseline.name for baseline in made], missing) == (["B1", "B2"], "")
    for baseline in made:
        assert np.mean([answer == label for answer, label in zip(baseline.answers, truth, strict=True)]) > 0.8


def test_texts_without_words_are_no_error() -> None:
    made, missing = train_baselines(Corpus(["!", "?"], ["a", "b"], "x"), ["!"])
    assert made == []
    assert "could not be trained" in missing


def test_ctrl_c_skips_the_baselines_and_not_the_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(baselines, "_answer", stop)
    said: list[str] = []
    made, missing = train_baselines(Corpus(["one two", "three four"], ["a", "b"], "x"), ["one"], said.append)
    assert (made, len(said)) == ([], 1)
    assert "Ctrl-C" in missing


def test_auto_leaves_out_what_costs_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "AUTO_CHARACTERS", 100)
    monkeypatch.setattr(baselines, "AUTO_WORK", 300)
    assert skipping("auto", ["x" * 100], 3) == ""
    assert "report.baselines=true" in skipping("auto", ["x" * 101], 2)
    assert "report.baselines=true" in skipping("auto", ["x" * 100], 4)
    assert skipping(True, ["x" * 1000], 4) == ""
    assert "false" in skipping(False, ["x"], 2)

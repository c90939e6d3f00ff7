"""The baselines: the same as scikit-learn's own, cheaper, and never in the way."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from sortgate_training.data import Corpus
from sortgate_training.metrics import measure_sets
from sortgate_training.report import baselines
from sortgate_training.report.baselines import CharacterTfidf, skipping, train_baselines
from sortgate_training.thresholds import parse_goal

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


def make_sets(count: int, seed: int) -> Corpus:
    """Texts in which a word gives each label away; all have the label ``z``."""
    generator = np.random.default_rng(seed)
    sets = [tuple(label for label, has in zip("abcz", [*(generator.random(3) < 0.3), True], strict=True) if has)
            for _ in range(count)]  # fmt: skip
    texts = [
        " ".join([f"word{generator.integers(30)}", *(f"is{label}" for label in labels if generator.random() < 0.95)])
        for labels in sets
    ]
    return Corpus(texts, [], "x", sets=sets)


def test_several_labels_have_thresholds_for_the_goal() -> None:
    learned, held_out, asked = make_sets(300, 0), make_sets(200, 1), make_sets(200, 2)
    assert asked.sets is not None
    recalls = []
    for goal in ("f1", "recall>=0.99"):
        made, missing = train_baselines(learned, asked.texts, held_out=held_out, goal=parse_goal(goal))
        assert ([baseline.name for baseline in made], missing) == (["B1", "B2"], "")
        for baseline in made:
            assert baseline.sets is not None
            assert baseline.answers == []
            metrics = measure_sets(asked.sets, baseline.sets)
            assert next(row.f1 for row in metrics.labels if row.label == "z") == 1.0
            if goal == "f1":
                assert metrics.macro_f1 > 0.9
        recalls.append(metrics.macro_recall)
    assert recalls[1] > recalls[0]


def test_held_out_texts_teach_again_when_thresholds_are_chosen() -> None:
    learned, held_out, asked = make_sets(25, 0), make_sets(400, 1), make_sets(200, 2)
    assert asked.sets is not None
    figures = []
    for again in (False, True):
        made, _ = train_baselines(learned, asked.texts, held_out=held_out, goal=parse_goal("f1"), again=again)
        figures.append(measure_sets(asked.sets, made[0].sets or []).macro_f1)
    assert figures[1] > figures[0] + 0.05


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
    monkeypatch.setattr(baselines, "AUTO_WORK_OF_SETS", 200)
    assert skipping("auto", ["x" * 100], 3) == ""
    assert "report.baselines=true" in skipping("auto", ["x" * 101], 2)
    assert "report.baselines=true" in skipping("auto", ["x" * 100], 4)
    assert skipping("auto", ["x" * 100], 2, several=True) == ""
    assert "report.baselines=true" in skipping("auto", ["x" * 100], 3, several=True)
    assert skipping(True, ["x" * 1000], 4) == ""
    assert "false" in skipping(False, ["x"], 2)

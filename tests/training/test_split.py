"""The division into parts: complete, by label, by seed, and no text on two sides."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sortgate_training.config import SplitConfig
from sortgate_training.data import Corpus
from sortgate_training.split import Parts, divide, stratified_split


def corpus(count: int, labels: str = "abc") -> Corpus:
    return Corpus([f"text {i}" for i in range(count)], [labels[i % len(labels)] for i in range(count)], "a.csv")


@given(
    rows=st.lists(st.tuples(st.integers(0, 40), st.sampled_from("abc")), min_size=1, max_size=80),
    validation=st.floats(0, 0.5),
    test=st.floats(0, 0.4),
    seed=st.integers(0, 5),
)
def test_every_row_once_and_no_text_on_two_sides(
    rows: list[tuple[int, str]], validation: float, test: float, seed: int
) -> None:
    data = Corpus([str(text) for text, _ in rows], [label for _, label in rows], "a.csv")
    split = stratified_split(data, validation=validation, test=test, seed=seed)
    assert sorted(split.train + split.validation + split.test) == list(range(len(rows)))
    sides = [{data.texts[row] for row in part} for part in (split.train, split.validation, split.test)]
    assert sum(map(len, sides)) == len(set().union(*sides))
    assert split.train


def test_shares_hold_for_each_label() -> None:
    data = corpus(3000)
    split = stratified_split(data, validation=0.1, test=0.2, seed=0)
    for label in "abc":
        counts = [
            sum(data.labels[row] == label for row in part) for part in (split.train, split.validation, split.test)
        ]
        assert counts == [700, 100, 200]


def test_rare_labels_reach_validation_first_then_test() -> None:
    data = Corpus(list("uvwxyz"), list("aabbbb"), "a.csv")
    split = stratified_split(data, validation=0.1, test=0.1, seed=0)
    labels = ["".join(sorted(data.labels[row] for row in part)) for part in (split.train, split.validation, split.test)]
    assert labels == ["abb", "ab", "b"]


def test_the_seed_decides() -> None:
    data = corpus(300)
    first = stratified_split(data, validation=0.1, test=0.1, seed=1)
    assert stratified_split(data, validation=0.1, test=0.1, seed=1) == first
    assert stratified_split(data, validation=0.1, test=0.1, seed=2) != first


def test_given_parts_are_taken_as_they_are() -> None:
    data, given_test = corpus(300), Corpus(["text 0", "new"], ["a", "x"], "test.csv")
    said: list[str] = []
    parts = divide(data, None, given_test, SplitConfig(), 0, said.append)
    assert parts.test is given_test
    assert (len(parts.train), len(parts.validation)) == (270, 30)
    assert said == [
        "test.csv: 1 texts have labels that a.csv lacks ('x'): they count as wrong",
        "test.csv: 1 of 2 texts also occur in a.csv",
    ]
    whole = divide(data, given_test, given_test, SplitConfig(), 0, said.append)
    assert whole.train.texts == data.texts


def test_no_test_part_is_a_choice() -> None:
    parts = divide(corpus(300), None, None, SplitConfig(test=0.0), 0, lambda _: None)
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (270, 30, 0)


@given(
    sets=st.lists(st.sets(st.sampled_from("abcde")), min_size=2, max_size=60),
    seed=st.integers(0, 5),
    share=st.floats(0.05, 0.4),
)
def test_every_label_of_a_set_is_learned(sets: list[set[str]], seed: int, share: float) -> None:
    data = Corpus([f"text {i}" for i in range(len(sets))], [], "a.csv", sets=[tuple(sorted(labels)) for labels in sets])
    split = stratified_split(data, validation=share, test=share, seed=seed)
    assert sorted(split.train + split.validation + split.test) == list(range(len(sets)))
    assert data.select(split.train, "train").counts().keys() == data.counts().keys()


def test_shares_hold_for_each_label_of_sets() -> None:
    generator = random.Random(0)
    chances = {"a": 0.6, "b": 0.2, "c": 0.05, "d": 0.02}
    sets = [tuple(label for label in chances if generator.random() < chances[label]) for _ in range(4000)]
    data = Corpus([f"text {i}" for i in range(len(sets))], [], "a.csv", sets=sets)
    split = stratified_split(data, validation=0.2, test=0.0, seed=0)
    held_out, whole = data.select(split.validation, "held out").counts(), data.counts()
    for label in chances:
        assert held_out[label] / whole[label] == pytest.approx(0.2, abs=0.03)


def test_what_is_learned_from_in_the_end_has_no_unknown_label_and_no_test_text() -> None:
    train, test = Corpus(["x", "y"], ["a", "b"], "t"), Corpus(["j"], ["a"], "j")
    parts = Parts(train, Corpus(["z", "w", "j"], ["a", "c", "a"], "v"), test)
    assert (parts.together().texts, parts.together().labels) == (["x", "y", "z"], ["a", "b", "a"])
    assert parts.shared() == 1
    sets = Corpus(["x"], [], "t", sets=[("a",)])
    parts = Parts(sets, Corpus(["z", "w", "v", "j"], [], "v", sets=[("a", "b"), (), ("b",), ()]), test)
    assert (parts.together().texts, parts.together().sets) == (["x", "w"], [("a",), ()])

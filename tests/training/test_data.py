"""Corpora: what is dropped, counted and refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from sortgate.errors import DataError
from sortgate_training.data import Corpus, check_learnable, foreign_note, overlap_note, read_corpus


def test_rows_without_text_or_label_are_dropped_and_said(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('text,label\nx,a\n,a\n"  ",b\ny,\nz, b \n')
    corpus = read_corpus(path)
    assert (corpus.texts, corpus.labels) == (["x", "z"], ["a", "b"])
    assert corpus.facts["empty"] == 2
    assert corpus.notes == ["a.csv: 2 of 5 rows have no text: dropped", "a.csv: 1 of 5 rows have no label: dropped"]


def test_duplicates_and_contradictions_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\nx,a\nx,a\nx,b\ny,b\ny,b\ny,b\n")
    corpus = read_corpus(path)
    assert len(corpus) == 6
    assert (corpus.facts["duplicates"], corpus.facts["contradictory"]) == (3, 1)
    assert corpus.notes == ["a.csv: 3 rows repeat an earlier row", "a.csv: 1 texts occur with different labels"]


def test_nothing_left(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\n,a\n")
    with pytest.raises(DataError, match="no labelled text"):
        read_corpus(path)


@pytest.mark.parametrize(
    ("labels", "says"),
    [("aaaa", "only one label, 'a'"), ("aab", "one example only for label 'b'"), ("aabc", "2 labels: 'b', 'c'")],
)
def test_what_cannot_be_learned(labels: str, says: str) -> None:
    corpus = Corpus([f"text {i}" for i in range(len(labels))], list(labels), "a.csv")
    with pytest.raises(DataError, match=says):
        check_learnable(corpus)


def test_one_text_repeated_is_one_example() -> None:
    with pytest.raises(DataError, match="one example only for label 'b'"):
        check_learnable(Corpus(["x", "y", "z", "z"], list("aabb"), "a.csv"))


def test_labels_come_sorted() -> None:
    assert check_learnable(Corpus(list("uvwx"), list("baab"), "a.csv")) == ["a", "b"]


def test_notes_on_other_files() -> None:
    train = Corpus(["x", "y"], ["a", "b"], "train.csv")
    assert overlap_note(train, Corpus(["z"], ["a"], "test.csv")) is None
    assert overlap_note(train, Corpus(["x", "z"], ["a", "a"], "test.csv")) == (
        "test.csv: 1 of 2 texts also occur in train.csv"
    )
    assert foreign_note(train, Corpus(["z"], ["a"], "test.csv")) is None
    note = foreign_note(train, Corpus(["z", "u"], ["a", "c"], "test.csv"))
    assert note == "test.csv: 1 texts have labels that train.csv lacks ('c'): they count as wrong"
    with pytest.raises(DataError, match="none of its labels"):
        foreign_note(train, Corpus(["z"], ["c"], "test.csv"))


def test_several_files_are_one_corpus(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\nx,a\n,b\n")
    (tmp_path / "b.jsonl").write_text('{"text": "x", "label": "a"}\n{"text": "y", "label": "b"}\n')
    corpus = read_corpus([tmp_path / "a.csv", tmp_path / "b.jsonl"])
    assert (corpus.texts, corpus.labels) == (["x", "x", "y"], ["a", "a", "b"])
    assert corpus.source == "a.csv and 1 more"
    assert [file["file"] for file in corpus.facts["files"]] == ["a.csv", "b.jsonl"]
    assert (corpus.facts["rows"], corpus.facts["empty"], corpus.facts["duplicates"]) == (4, 1, 1)
    (tmp_path / "b.jsonl").write_text('{"text": "x"}\n')
    with pytest.raises(DataError, match=r"b.jsonl: cannot tell"):
        read_corpus([tmp_path / "a.csv", tmp_path / "b.jsonl"])


def test_a_separator_makes_sets(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\nx,b| a |b\ny,a\nz,\n,a\n")
    corpus = read_corpus(path, label_separator="|")
    assert corpus.task == "multi_label"
    assert corpus.sets == [("a", "b"), ("a",), ()]
    assert corpus.counts() == {"a": 2, "b": 1}
    assert corpus.facts["label_separator"] == "|"
    assert "a.csv: 1 of 4 texts have an empty set of labels: learned as such" in corpus.notes
    assert corpus.select([2, 0], "part").sets == [(), ("a", "b")]
    with pytest.raises(DataError, match="--label-separator"):
        read_corpus(path, label_separator="")


def test_lists_make_sets_and_null_is_no_label(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"text": "x", "label": ["b|c", "a"]}\n{"text": "y", "label": []}\n'
        '{"text": "z", "label": null}\n{"text": "u", "label": "a"}\n'
    )
    corpus = read_corpus(path)
    assert (corpus.texts, corpus.sets) == (["x", "y", "u"], [("a", "b|c"), (), ("a",)])
    assert corpus.facts["unlabelled"] == 1


def test_fasttext_is_multi_label_only_with_several_labels(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("__label__a x\n__label__b y\nz\n")
    corpus = read_corpus(path)
    assert (corpus.task, corpus.labels, corpus.facts["unlabelled"]) == ("single_label", ["a", "b"], 1)
    path.write_text("__label__a __label__b x\n__label__b y\n")
    assert read_corpus(path).sets == [("a", "b"), ("b",)]


def test_joined_labels_stay_single_with_a_suggestion(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\n" + "".join(f"text {i},{['a|b', 'b|c', 'a|c', 'a'][i % 4]}\n" for i in range(20)))
    corpus = read_corpus(path)
    assert corpus.task == "single_label"
    assert "3 of 4 labels contain '|'" in corpus.notes[-1]
    assert corpus.notes[-1].endswith("--label-separator '|'")
    path.write_text("text,label\n" + "".join(f"text {i},{['in|out', 'up|down', 'a', 'b'][i % 4]}\n" for i in range(20)))
    assert read_corpus(path).notes == []


def test_the_task_is_that_of_training() -> None:
    single = Corpus(["x"], ["a"], "one.csv")
    sets = Corpus(["x"], [], "sets.csv", sets=[("a", "b")])
    assert single.as_task_of("train.csv", "multi_label").sets == [("a",)]
    assert single.as_task_of("train.csv", "single_label") is single
    with pytest.raises(DataError, match=r"sets.csv: several labels a text, where one.csv has one"):
        sets.as_task_of(single.source, single.task)


@pytest.mark.parametrize(
    ("sets", "says"),
    [
        ([(), ()], "no text has a label"),
        ([("a",), ("a",)], "only one label, 'a'"),
        ([("a", "b"), ("a",)], "one example only for label 'b'"),
    ],
)
def test_sets_that_cannot_be_learned(sets: list[tuple[str, ...]], says: str) -> None:
    with pytest.raises(DataError, match=says):
        check_learnable(Corpus(["x", "y"], [], "a.csv", sets=sets))


def test_one_label_that_not_all_have_can_be_learned() -> None:
    assert check_learnable(Corpus(["x", "y", "z"], [], "a.csv", sets=[("a",), ("a",), ()])) == ["a"]

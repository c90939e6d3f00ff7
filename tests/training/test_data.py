"""Corpora: what is dropped, counted and refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from sortgate.errors import DataError
from sortgate_training.data import Corpus, check_learnable, find_files, foreign_note, overlap_note, read_corpus


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


def test_a_folder_holds_parts(tmp_path: Path) -> None:
    for name in ("train.csv.gz", "dev.tsv", "test.jsonl", "SOURCE.md"):
        (tmp_path / name).touch()
    files = find_files(tmp_path)
    assert files.validation is not None
    assert files.test is not None
    assert [path.name for path in (files.train, files.validation, files.test)] == [
        "train.csv.gz",
        "dev.tsv",
        "test.jsonl",
    ]
    other = tmp_path / "SOURCE.md"
    assert find_files(tmp_path, test=other).test == other
    assert find_files(other, test=other).validation is None


def test_a_folder_without_or_with_two_train_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no train file"):
        find_files(tmp_path)
    (tmp_path / "train.csv").touch()
    (tmp_path / "train.csv.gz").touch()
    with pytest.raises(DataError, match="could both be the train file"):
        find_files(tmp_path)


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

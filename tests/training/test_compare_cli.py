"""``sortgate compare`` and ``sortgate evaluate --report`` with real bundles."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from small import ONCE
from sortgate.bundle import Bundle
from sortgate.cli import run

Rows = list[tuple[str, str]]
QUICK = [*ONCE, "--no-baselines", "--quiet"]


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory,
    rows: Callable[..., Rows],
    write_rows: Callable[[Path, Rows], Path],
) -> Path:
    """Two bundles with the labels a and b, one with b and c, one with x and y, and test texts."""
    folder = tmp_path_factory.mktemp("compare")
    write_rows(folder / "test.csv", rows(100, "abc", seed=9))
    for name, labels, seed in (("one", "ab", 1), ("two", "ab", 2), ("other", "bc", 3), ("foreign", "xy", 4)):
        data = write_rows(folder / f"{name}.csv", rows(120, labels, seed=seed))
        assert run(["train", str(data), "--out", str(folder / name), "--epochs", "1", *QUICK]) == 0
    return folder


def test_compare(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = tmp_path / "changes.jsonl"
    arguments = ["compare", str(folder / "one"), str(folder / "two"), str(folder), "--changes", str(changes)]
    capsys.readouterr()
    assert run([*arguments, "--json", "--show", "3"]) == 0
    found = json.loads(capsys.readouterr().out)
    lines = [json.loads(line) for line in changes.read_text().splitlines()]
    assert len(lines) == found["changed"]
    assert found["changes"] == lines[:3]
    low, high = found["difference"]["accuracy_interval"]
    assert low <= found["second"]["accuracy"] - found["first"]["accuracy"] <= high
    went = [line["went"] for line in lines]
    assert found["mcnemar"]["only_second"] == went.count("right")
    assert found["mcnemar"]["only_first"] == went.count("wrong")
    assert run(arguments) == 0
    assert capsys.readouterr().out.splitlines()[-1] == found["verdict"]


def test_labels_may_overlap_but_not_be_others(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    test = str(folder / "test.csv")
    assert run(["compare", str(folder / "one"), str(folder / "other"), test]) == 0
    assert "only the first knows 'label a', only the second knows 'label c'" in capsys.readouterr().err
    assert run(["compare", str(folder / "one"), str(folder / "foreign"), test]) != 0
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "no label in common" in error


def test_a_file_that_was_learned_from_judges_nothing_new(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["evaluate", str(folder / "one")], ["compare", str(folder / "one"), str(folder / "two")]):
        assert run([*command, str(folder / "one.csv"), str(folder / "test.csv")]) == 0
        said = capsys.readouterr().err
        assert said.count("one was trained from texts of this very file") == 1
        assert "two was trained" not in said
        assert run([*command, str(folder / "test.csv"), "--json"]) == 0
        assert not any("was trained from" in note for note in json.loads(capsys.readouterr().out)["notes"])


def test_texts_with_other_labels_judge_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    test = str(folder / "test.csv")
    for command in (
        ["compare", str(folder / "foreign"), str(folder / "foreign")],
        ["evaluate", str(folder / "foreign")],
    ):
        assert run([*command, test]) != 0
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert (
            "none of its labels ('label a', 'label b', 'label c') is one of foreign's ('label x', 'label y')" in error
        )


def test_changes_need_a_place(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["compare", str(folder / "one"), str(folder / "two"), str(folder)]
    assert run([*arguments, "--changes", str(folder / "none" / "x")]) == 78
    assert "--changes" in capsys.readouterr().err


def test_evaluate_writes_the_page(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "new.html"
    arguments = ["evaluate", str(folder / "one"), str(folder), "--report", str(page)]
    assert run([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    low, high = found["intervals"]["accuracy"]
    assert low < found["accuracy"] < high
    assert found["calibration"]["ece_after"] >= 0
    written = page.read_text()
    assert "Hardest texts" in written
    assert Bundle.open(folder / "one").fingerprint in written
    assert run([*arguments, "--no-examples"]) == 0
    assert "Hardest texts" not in page.read_text()
    assert "95 % intervals: accuracy " in capsys.readouterr().out
    assert run([*arguments[:-1], str(tmp_path / "none" / "x")]) == 78
    assert "--report" in capsys.readouterr().err


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two bundles of texts with several labels, the first hardly trained, and texts of which a few cannot be known."""
    folder = tmp_path_factory.mktemp("sets")
    generator = random.Random(0)
    for name, count in (("train", 300), ("test", 100)):
        lines = ["text,label"]
        for _ in range(count):
            labels = [label for label in "abc" if generator.random() < 0.4]
            words = [f"{label}{generator.randrange(5)}" for label in labels if generator.random() < 0.9]
            words.append("word1 word2")
            lines.append(f"{' '.join(words)},{'|'.join(labels)}")
        (folder / f"{name}.csv").write_text("\n".join(lines))
    train = ["train", str(folder / "train.csv"), "--label-separator", "|", *QUICK]
    assert run([*train, "--out", str(folder / "one"), "--epochs", "1", "--set", "ngrams.enabled=false"]) == 0
    assert run([*train, "--out", str(folder / "two"), "--epochs", "1"]) == 0
    return folder


def test_compare_sets(sets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = tmp_path / "changes.jsonl"
    arguments = ["compare", str(sets / "one"), str(sets / "two"), str(sets / "test.csv")]
    capsys.readouterr()
    assert run([*arguments, "--json", "--changes", str(changes)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["second"]["micro_f1"] > found["first"]["micro_f1"] + 0.2
    for name in ("accuracy", "micro_f1", "macro_f1"):
        low, high = found["difference"][f"{name}_interval"]
        assert low <= found["second"][name] - found["first"][name] <= high
    lines = [json.loads(line) for line in changes.read_text().splitlines()]
    assert len(lines) == found["changed"] > 0
    assert all(isinstance(line["label"], list) for line in lines)
    assert {line["went"] for line in lines if line["label"] == line["second"]} == {"right"}
    assert found["mcnemar"]["only_second"] == [line["went"] for line in lines].count("right")
    assert found["verdict"].startswith("the second is significantly better in exact match, micro-F1, macro-F1 (")
    # the separator may be named, and then must be right
    assert run([*arguments, "--label-separator", "|"]) == 0
    table = capsys.readouterr().out
    assert "exact match" in table
    assert table.splitlines()[-1] == found["verdict"]
    assert run(["compare", str(sets / "two"), str(sets / "two"), str(sets / "test.csv")]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "both give the same labels to the same texts"
    assert run([*arguments, "--label-separator", ""]) != 0
    assert "--label-separator: what stands between" in capsys.readouterr().err


def test_one_label_and_several_cannot_be_compared(sets: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for first, second, says in (
        (sets / "one", folder / "one", "the first bundle gives several labels a text, the second one label a text"),
        (folder / "one", folder / "two", "several labels a text, where the bundle one has one"),
    ):
        more = ["--label-separator", "|"] if first.parent == folder else []
        assert run(["compare", str(first), str(second), str(sets / "test.csv"), *more]) != 0
        error = capsys.readouterr().err
        assert says in error
        assert error.count("\n") == 1

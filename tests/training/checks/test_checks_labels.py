"""``sortgate check``: labels that are several, and texts too long to be learned from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from findings import finding, topics
from sortgate.cli import run


def test_texts_that_are_too_long_are_said_once(tmp_path: Path, rows: Any, write_rows: Any, check: Any) -> None:
    data = write_rows(tmp_path / "d.csv", [("x" * 3_000_000, "label a"), *rows(150)])
    report = check(data)
    long = finding(report, "train", "very long")
    assert (long["count"], long["examples"][0]["detail"]) == (1, "3,000,000 bytes")
    assert ("train", "tokens") not in topics(report)
    report = check(write_rows(tmp_path / "e.csv", [("x" * 3_000_000, "label a"), ("\u200b", "label a"), *rows(150)]))
    assert [finding(report, "train", topic)["examples"][0]["rows"] for topic in ("very long", "tokens")] == [[1], [2]]
    # also where a normalizer makes it so: ﷺ are 18 letters and spaces
    report = check(write_rows(tmp_path / "f.csv", [("ﷺ" * 5_000, "label a"), *rows(150)]))
    assert finding(report, "train", "very long")["count"] == 1
    assert ("train", "tokens") not in topics(report)


def test_a_label_of_texts_that_are_too_long_stops_training(
    tmp_path: Path, rows: Any, write_rows: Any, check: Any
) -> None:
    long = [("x" * 70_000, "label d"), ("y" * 70_000, "label d"), ("\u200b", "label d")]
    data = write_rows(tmp_path / "d.csv", [*long, *rows(150)])
    report = check(data)
    [found] = (f for f in report["findings"] if f["level"] == "error")
    assert found["what"].startswith("no text of label 'label d' is left: 2 of 3 are over limits.max_text_bytes")
    assert not report["trainable"]
    assert run(["train", str(data), "--out", str(tmp_path / "toy"), "-q", "--epochs", "1", "--threads", "1"]) == 1


def test_joined_labels_are_pointed_out(tmp_path: Path, write_rows: Any, check: Any) -> None:
    labels = ["a|b", "b|c", "a|c", "a|b|c"]
    report = check(write_rows(tmp_path / "d.csv", [(f"word{i} text", labels[i % 4]) for i in range(80)]))
    assert any("--label-separator '|'" in found["what"] for found in report["findings"])


@pytest.mark.parametrize("separator", ["|", ";", ", "])
def test_a_few_joined_labels_are_pointed_out(
    tmp_path: Path, rows: Any, write_rows: Any, check: Any, separator: str
) -> None:
    joined = [(f"joined {'x' * i}", f"label a{separator}label b") for i in range(12)]
    data = write_rows(tmp_path / "d.csv", [*rows(300), *joined, *[(f"odd {'y' * i}", "label z/") for i in range(12)]])
    found = finding(check(data), "train", "labels")
    assert (found["level"], found["count"], found["examples"][0]["rows"]) == ("warning", 12, [301])
    both = f"label a{separator}label b"
    assert found["what"] == (
        f"label {both!r} looks like several labels, since 'label a' is a label, too: 12 texts have such a label"
    )
    assert found["advice"].endswith(f"read them with --label-separator '{separator.strip()}'")
    assert ("train", "labels") not in topics(check(data, "--label-separator", separator.strip()))


@pytest.mark.parametrize("label", ["one|two", "label a|", "|", "x, y", "label a / label b", "; label a"])
def test_labels_that_are_not_joined_of_others(
    tmp_path: Path, rows: Any, write_rows: Any, check: Any, label: str
) -> None:
    strange = [(f"strange {'x' * i}", label) for i in range(12)]
    assert ("train", "labels") not in topics(check(write_rows(tmp_path / "d.csv", [*rows(300), *strange])))

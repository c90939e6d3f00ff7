"""What is read of long texts: learned from as it is served, and what it costs to cut them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from small import QUICK
from sortgate.bundle import Bundle
from sortgate.cli import run
from sortgate.inference import Classifier
from sortgate.textconfig import TextLimits
from sortgate_training.report.judged import Judged
from sortgate_training.report.truncation import truncation_of

Rows = list[tuple[str, str]]
LEARN = (*QUICK, "--set", "optimizer.learning_rate=0.02", "--epochs", "4", "--no-baselines", "--json")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, write_rows: Callable[[Path, Rows], Path]) -> Path:
    """Texts whose last word gives the label away; three in four have more than 8 tokens."""
    generator = random.Random(0)
    rows = []
    for number in range(400):
        label = generator.choice("ab")
        words = [f"word{generator.randrange(40)}" for _ in range(5 if number % 4 == 0 else 20)]
        rows.append((" ".join([*words, f"{label}{generator.randrange(5)}"]), f"label {label}"))
    return write_rows(tmp_path_factory.mktemp("data") / "long.csv", rows)


def test_the_end_is_read_where_that_is_asked_for(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    costs, accuracies = {}, {}
    for truncation in ("head", "head_tail"):
        out = tmp_path / truncation
        limits = ("--set", "limits.max_tokens=8", "--set", f"limits.truncation={truncation}")
        assert run(["train", str(data), "--out", str(out), *limits, *LEARN]) == 0
        captured = capsys.readouterr()
        accuracies[truncation] = json.loads(captured.out)["metrics"]["accuracy"]
        bundle = Bundle.open(out)
        costs[truncation] = bundle.manifest.metrics["truncation"]
        [note] = [note for note in bundle.manifest.metrics["notes"] if "of their tokens; " in note]
        kept = "first 8 tokens" if truncation == "head" else "first 2 and last 6 tokens"
        assert f"31 of 40 validation texts (77.5%) are cut to their {kept}, which loses 62% of their tokens; " in note
        assert note in captured.err
        assert note in bundle.read("report.html").decode()
        card = bundle.read("card.md").decode()
        assert f"of a text with more than 8 tokens only the {kept} are read" in card
        assert note in card.replace("\\", "")
        answers = Classifier.load(out)(["word1 " * 20 + "a1", "word1 a1"])
        assert [answer.truncated for answer in answers] == [13, 0]
        assert (answers[0].label == "label a") or truncation == "head"
        assert answers[1].label == "label a"
        assert (bundle.manifest.limits.truncation, bundle.manifest.limits.max_tokens) == (truncation, 8)
    assert run(["evaluate", str(tmp_path / "head"), str(data), "--json"]) == 0
    evaluated = json.loads(capsys.readouterr().out)
    assert evaluated["truncation"]["texts_cut"] == 300
    cut = "300 of 400 judged texts (75.0%) are cut to their first 8 tokens"
    assert [note.startswith(cut) for note in evaluated["notes"]] == [False, True], "the first: texts were learned from"
    assert accuracies["head_tail"] > 0.95 > accuracies["head"] + 0.1
    assert costs["head"]["texts_cut"] == costs["head_tail"]["texts_cut"] == 31
    assert costs["head"]["accuracy_cut"] < 0.8 < costs["head_tail"]["accuracy_cut"]
    assert costs["head"]["accuracy_whole"] > 0.8


def test_nothing_is_said_where_nothing_is_cut(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", str(data), "--out", str(tmp_path / "toy"), *LEARN, "--epochs", "1"]) == 0
    assert "are cut" not in capsys.readouterr().err
    assert "truncation" not in Bundle.open(tmp_path / "toy").manifest.metrics


def make_judged(cut: list[int], sets: bool = False) -> Judged:
    truth, answers = ["a", "b", "a", "b"], ["a", "b", "b", None]
    of_sets = ([("a",), ("b",), (), ("a", "b")], [("a",), ("b",), ("a",), ("a",)]) if sets else None
    rows, tokens = np.array([0, 1, 2, 3]), np.array([10, 10, 10, 20])
    return Judged(truth, truth, answers, ("a", "b"), rows, np.zeros((4, 2)), tokens, 0, np.array(cut), of_sets)


@pytest.mark.parametrize("sets", [False, True])
def test_figures_of_texts_that_are_cut_and_of_the_others(sets: bool) -> None:
    limits = TextLimits(max_tokens=5)
    assert truncation_of(make_judged([0, 0, 0, 0], sets), limits) is None
    found = truncation_of(make_judged([5, 0, 0, 15], sets), limits)
    assert found is not None
    assert (found.cut, found.whole, found.right_cut, found.right_whole) == (2, 2, 1, 1)
    assert found.lost == pytest.approx(20 / 30)
    assert found.describe("test", "exact match").startswith(
        "2 of 4 test texts (50.0%) are cut to their first 5 tokens, which loses 67% of their tokens; exact match in "
        "per cent with 95 % intervals: 50.0 ("
    )
    everything = truncation_of(make_judged([5, 5, 5, 15], sets), limits)
    assert everything is not None
    assert everything.to_dict()["accuracy_whole"] is None
    assert "others" not in everything.describe("test")

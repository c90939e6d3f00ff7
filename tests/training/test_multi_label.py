"""Sets of labels from end to end: trained, judged, served, and refused where they do not fit."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.special import expit

from small import QUICK
from sortgate.bundle import Bundle
from sortgate.cli import run
from sortgate.inference import Classifier
from sortgate_training.batches import EncodedTexts
from sortgate_training.calibration import HIGHEST, LOWEST, fit_temperature, negative_log_likelihood
from sortgate_training.config import LossConfig
from sortgate_training.judging import Cut
from sortgate_training.metrics import macro_f1, measure_sets
from sortgate_training.mixing import mix
from sortgate_training.objective import create_multi_label_loss

LEARN = (*QUICK, "--set", "optimizer.learning_rate=0.02", "--set", "loss.adversarial=0", "--epochs", "4")


def make_sets(count: int, seed: int) -> list[tuple[str, list[str]]]:
    """Texts in which a word gives each label away."""
    generator = random.Random(seed)
    made = []
    for _ in range(count):
        labels = [label for label in "abc" if generator.random() < 0.4]
        words = [f"{label}{generator.randrange(5)}" for label in labels] + [
            f"word{generator.randrange(40)}" for _ in range(generator.randint(3, 8))
        ]
        generator.shuffle(words)
        made.append((" ".join(words), labels))
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sets")
    for name, count, seed in (("train", 400, 0), ("test", 100, 1)):
        lines = [json.dumps({"text": text, "labels": labels}) for text, labels in make_sets(count, seed)]
        (path / f"{name}.jsonl").write_text("\n".join(lines))
    rows = [f"{text},{'|'.join(labels)}" for text, labels in make_sets(100, 1)]
    (path / "joined.csv").write_text("\n".join(["text,label", *rows]))
    return path


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Path:
    out = folder / "models" / "sets"
    assert run(["train", str(folder), "--out", str(out), "--quiet", *LEARN]) == 0
    return out


def test_trained_sets_are_served(folder: Path, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = Bundle.open(bundle).manifest
    assert (manifest.task, manifest.labels) == ("multi_label", ["a", "b", "c"])
    assert manifest.thresholds.keys() == {"a", "b", "c"}
    assert manifest.metrics["test"]["macro_f1"] > 0.9
    assert manifest.metrics["parity"] <= 1e-4
    assert manifest.metrics["baselines"].keys() == {"B1", "B2"}
    assert manifest.metrics["baselines"]["B1"]["micro_f1"] > 0.9
    assert "macro-F1" in manifest.metrics["verdict"]
    both, none = Classifier.load(bundle)(["a1 b2 word3 word4", "word1 word2 word3"])
    assert {entry.label for entry in both.labels} == {"a", "b"}
    assert (none.label, none.labels, none.error) == (None, (), None)
    for arguments in ([str(folder / "test.jsonl")], [str(folder / "joined.csv"), "--label-separator", "|"]):
        assert run(["evaluate", str(bundle), *arguments, "--json"]) == 0
        judged = json.loads(capsys.readouterr().out)
        assert {key: judged[key] for key in manifest.metrics["test"]} == manifest.metrics["test"]
    assert run(["evaluate", str(bundle), str(folder / "test.jsonl")]) == 0
    *_, last, bounds = capsys.readouterr().out.splitlines()
    assert bounds.startswith("95 % intervals: exact match ")
    for figure in ("micro-F1", "macro-F1", "samples-F1", "exact match", "0 unanswered"):
        assert figure in last


def test_the_separator_is_remembered(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    joined, out = str(folder / "joined.csv"), tmp_path / "toy"
    arguments = ["--label-separator", "|", "--quiet", "--threshold-goal", "recall>=0.9", "--epochs", "1", *QUICK]
    assert run(["train", joined, "--out", str(out), *arguments]) == 0
    assert Bundle.open(out).manifest.training["thresholds"]["goal"] == "recall>=0.9"
    capsys.readouterr()
    assert run(["evaluate", str(out), joined, "--json"]) == 0
    assert {row["label"] for row in json.loads(capsys.readouterr().out)["labels"]} == {"a", "b", "c"}


def test_int8_of_sets(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "toy"
    assert run(["train", str(folder), "--out", str(out), "--quiet", "--precision", "auto", *LEARN]) == 0
    Classifier.load(out)  # replays the golden texts


def test_thresholds_are_those_of_the_model_that_is_served(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    def choose(scaled: Any, *_: Any) -> Cut:
        asked.append(float(scaled.sum()))
        return Cut(dict.fromkeys("abc", 0.25 * len(asked)))

    monkeypatch.setattr("sortgate_training.run.choose_cut", choose)
    monkeypatch.setattr("sortgate_training.precision.Int8Cost.acceptable", True)
    out = tmp_path / "toy"
    assert run(["train", str(folder), "--out", str(out), "--quiet", "--precision", "int8", *LEARN]) == 0
    exact, served = asked
    assert exact != served
    assert exact == pytest.approx(served, rel=0.1)
    assert Bundle.open(out).manifest.thresholds == dict.fromkeys("abc", 0.5)


def test_a_single_label_bundle_refuses_sets(folder: Path, toy_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", str(toy_bundle), str(folder / "test.jsonl")]) != 0
    assert "several labels a text, where the bundle" in capsys.readouterr().err


def test_abstaining_is_a_postprocessor(
    tmp_path: Path,
    rows: Callable[..., list[tuple[str, str]]],
    write_rows: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    data, out = write_rows(tmp_path / "a.csv", rows(400)), tmp_path / "toy"
    assert run(["train", str(data), "--out", str(out), "--set", 'abstain.goal="precision>=1"', *LEARN]) == 0
    assert "of validation texts, " in capsys.readouterr().err
    classifier = Classifier.load(out)
    [chosen] = classifier.manifest.text.postprocessors
    assert chosen.name == "sortgate.threshold.v1"
    answers = classifier([text for text, _ in rows(300, seed=1)])
    kept = [answer for answer in answers if answer.label is not None]
    assert 0 < len(kept) < len(answers)
    assert all((answer.score >= chosen.params["default"]) == (answer.label is not None) for answer in answers)


@settings(max_examples=25, deadline=None)
@example(568, 0.1, 0.1015625)  # the best temperature is the highest there is
@given(st.integers(0, 10_000), st.floats(0.1, 3.0), st.floats(0.1, 3.0))
def test_mixing_and_temperature_are_the_most_likely(seed: int, one: float, other: float) -> None:
    generator = np.random.default_rng(seed)
    first, second = generator.standard_normal((2, 300, 3)).astype(np.float32)
    targets = generator.random((300, 3)) < expit(one * first + other * second)
    factors = np.array(mix(first, second, targets))

    def loss(tried: np.ndarray) -> float:
        return negative_log_likelihood(tried[0] * first + tried[1] * second, targets)

    for step in ([0.05, 0], [0, 0.05], [-0.05, 0], [0, -0.05]):
        tried = factors + step
        if (tried >= 0).all() and (tried <= 4).all():
            assert loss(factors) <= loss(tried) + 1e-4
    logits = 2.0 * (one * first + other * second)
    best = fit_temperature(logits, targets)
    least = negative_log_likelihood(logits, targets, best)
    others = [best * by for by in (0.95, 1.05) if LOWEST <= best * by <= HIGHEST]
    assert least <= min(negative_log_likelihood(logits, targets, other) for other in others) + 1e-6


def test_losses() -> None:
    logits, targets = torch.tensor([[2.0, -1.0], [0.5, 0.0]]), torch.tensor([[True, False], [False, True]])
    chances = torch.where(targets, logits, -logits).sigmoid()

    def loss(**choice: object) -> float:
        config = LossConfig(**choice)  # type: ignore[arg-type]
        return float(create_multi_label_loss(config, ["a", "b"], [1, 1], 5)(logits, targets))

    assert loss() == pytest.approx(float(-chances.log().sum() / 2))
    assert loss(name="focal") == pytest.approx(float(-((1 - chances) ** 2 * chances.log()).sum() / 2))
    weights = torch.where(targets, 4.0, 1.0)
    assert loss(class_weights="balanced") == pytest.approx(float(-(weights * chances.log()).sum() / 2))
    assert loss(label_smoothing=0.2) > loss()


def test_metrics_of_sets() -> None:
    metrics = measure_sets([["a"], ["a", "b"], [], ["b"]], [["a"], ["a"], [], None], ["a", "b"])
    assert (metrics.accuracy, metrics.unanswered) == (0.5, 1)
    assert metrics.micro_f1 == pytest.approx(2 * 2 / (4 + 2))
    assert metrics.samples_f1 == pytest.approx((1 + 2 / 3 + 1 + 0) / 4)
    assert [row.f1 for row in metrics.labels] == [1.0, 0.0]
    table = np.array([[1, 0], [1, 1], [0, 0], [0, 1]], dtype=bool)
    given = np.array([[1, 0], [1, 0], [0, 0], [0, 0]], dtype=bool)
    assert macro_f1(table, given) == metrics.macro_f1 == 0.5


def test_a_table_of_targets_stays_one() -> None:
    texts = EncodedTexts([[2], [3, 4]], np.array([[True, False], [False, False]]))
    batch = texts.batch([1, 0])
    assert batch.targets.tolist() == [[False, False], [True, False]]
    assert len(batch) == 2


@pytest.mark.parametrize(
    ("label", "setting", "says"),
    [
        ("a|b", 'abstain.goal="precision>=0.9"', "abstain.goal is for one label a text; with several, set thresholds"),
        ("b", 'thresholds.goal="recall>=0.9"', "thresholds.goal is for several labels a text (--label-separator)"),
    ],
)
def test_a_goal_of_the_other_task_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], label: str, setting: str, says: str
) -> None:
    data, out = tmp_path / "d.csv", tmp_path / "toy"
    data.write_text("text,label\n" + "\n".join(f"word{i} text,{label if i % 2 else 'a'}" for i in range(30)))
    separator = ["--label-separator", "|"] if "|" in label else []
    assert run(["train", str(data), "--out", str(out), "--quiet", "--set", setting, *separator]) != 0
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert not out.exists()

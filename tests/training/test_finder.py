"""The learning-rate finder: a curve that falls and rises, and a rate below where it rises."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from sortgate.cli import run
from sortgate_training.batches import EncodedTexts, TrainingBatches
from sortgate_training.config import ModelConfig, TrainingConfig
from sortgate_training.finder import Point, draw, find_rate, suggest
from sortgate_training.model import RecurrentClassifier


def test_the_curve_falls_and_ends_where_it_diverges() -> None:
    torch.manual_seed(0)
    texts = EncodedTexts([[2 + number % 2, 4, 5] for number in range(64)], [number % 2 for number in range(64)])
    batches = TrainingBatches(texts, batch_size=8, batch_tokens=1000, seed=0)
    module = RecurrentClassifier(ModelConfig(hidden=8, embedding=8), 10, 2)
    curve = find_rate(module, batches, nn.CrossEntropyLoss(), TrainingConfig(), torch.device("cpu"))
    rates = [point.rate for point in curve]
    assert rates == sorted(rates)
    assert rates[0] == pytest.approx(1e-5)
    assert min(point.loss for point in curve) < 0.5 * curve[0].loss
    assert curve[0].rate < suggest(curve) < 1.0


def test_the_suggestion_is_below_the_least_loss() -> None:
    curve = [Point(1e-4, 1.0), Point(1e-3, 0.9), Point(3e-3, 0.4), Point(1e-2, 0.5), Point(1e-1, 3.0)]
    assert suggest(curve) == pytest.approx(3e-4)
    lines = draw(curve)
    assert [line.count("█") for line in lines][2:] == [1, 2, 40]
    assert lines[2].split()[:2] == ["3.00e-03", "0.4000"]


def test_the_command_prints_a_curve_and_leaves_nothing(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    rows: Callable[..., list[tuple[str, str]]],
    write_rows: Callable[[Path, list[tuple[str, str]]], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")  # set by the command: undone again
    data = write_rows(tmp_path / "train.csv", rows(300))
    arguments = ["train", str(data), "--out", str(tmp_path / "toy"), "--threads", "1", "--find-lr"]
    small = ["--set", "refit=false", "--set", "model.hidden=8", "--set", "model.embedding=16"]
    assert run([*arguments, *small]) == 0
    assert "--set optimizer.learning_rate=" in capsys.readouterr().out.splitlines()[-1]
    assert run([*arguments, *small, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["learning_rate"] > 0
    assert {"rate", "loss"} == set(found["curve"][0])
    assert not (tmp_path / "toy").exists()

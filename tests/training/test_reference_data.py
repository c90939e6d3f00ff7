"""Real texts: good enough, equal in PyTorch and ONNX Runtime over a whole test set, and independent of the batch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sortgate.cli import run
from sortgate.inference import Classifier
from sortgate_training.data import read_corpus

pytestmark = [pytest.mark.slow, pytest.mark.data]


@pytest.mark.parametrize(
    ("name", "cell", "epochs", "accuracy"),
    [("sms_spam", "lstm", 4, 0.975), ("sms_spam", "gru", 4, 0.975), ("thucnews_titles", "lstm", 6, 0.80)],
)
def test_a_real_data_set(
    data_dir: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    cell: str,
    epochs: int,
    accuracy: float,
) -> None:
    folder, out = data_dir / name, tmp_path / name
    assert run(["train", str(folder), "--out", str(out), "--cell", cell, "--epochs", str(epochs), "--json"]) == 0
    trained = json.loads(capsys.readouterr().out)
    assert trained["metrics"]["accuracy"] >= accuracy
    assert trained["largest_logit_difference"] <= 1e-4
    texts = read_corpus(folder / "test.csv.gz").texts[:500]
    classifier = Classifier.load(out)
    together = classifier(texts)
    for text, prediction in zip(texts[:100], together, strict=False):
        alone = classifier([text])[0]
        assert alone.label == prediction.label
        assert np.isclose(alone.score, prediction.score, atol=1e-5)

"""Answers to judge, made up: three labels, most answers right, texts that try to be markup."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sortgate.bundle import Bundle, Manifest
from sortgate_training.history import Epoch, History
from sortgate_training.report.baselines import Baseline
from sortgate_training.report.figures import calibrate, figures_of
from sortgate_training.report.judged import Judged
from sortgate_training.report.page import Subject

SCRIPT = "<script>alert(1)</script>"


def make_judged(texts: int = 200, labels: tuple[str, ...] = (SCRIPT, "b", "c"), seed: int = 0) -> Judged:
    generator = np.random.default_rng(seed)
    targets = generator.integers(0, len(labels), texts)
    logits = generator.normal(size=(texts, len(labels))).astype(np.float32)
    logits[np.arange(texts), targets] += 2.0
    answers: list[str | None] = [labels[at] for at in logits.argmax(axis=1)]
    words = [f"{SCRIPT} & \ud83d text {number}" for number in range(texts)]
    tokens = generator.integers(1, 40, texts)
    return Judged(words, [labels[at] for at in targets], answers, labels, np.arange(texts), logits, tokens, 0)


def make_subject(judged: Judged, **more: Any) -> Subject:
    baseline = Baseline("B1", "a baseline", [judged.labels[0]] * len(judged.truth), 1.0)
    figures = figures_of(judged, [baseline], calibrate(judged, 1.5, judged))
    epochs = [Epoch(1, 0.5, 0.6, 0.7, 0.8, 100.0, 1.0), Epoch(2, 0.4, 0.6, 0.7, 0.75, 100.0, 1.0)]
    given: dict[str, Any] = {
        "validation": make_judged(seed=1, labels=judged.labels),
        "history": History(epochs, 1, "all done"),
        "speed": 1234.5,
        "size": 2_500_000,
        "notes": ["a note & more"],
        "facts": {"seed": 3},
        "data": {"train": {"source": "x.csv", "sha256": "0" * 64, "texts": 9}},
    }
    return Subject("toy", "test", figures, judged, 1.5, **{**given, **more})


@pytest.fixture
def judged() -> Callable[..., Judged]:
    """Make answers: ``judged(texts, labels, seed)``."""
    return make_judged


@pytest.fixture
def subject() -> Callable[..., Subject]:
    """Make what a report is about: ``subject(judged, **fields)``."""
    return make_subject


@pytest.fixture
def toy_manifest(toy_bundle: Path) -> Manifest:
    """A manifest."""
    return Bundle.open(toy_bundle).manifest

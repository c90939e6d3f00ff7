"""A small training that is followed by a second one, as a command line and in this process."""

from __future__ import annotations

from pathlib import Path

from sortgate.bundle import Bundle, Manifest
from sortgate.cli import run

SETTINGS = ("model.hidden=8", "model.embedding=16", "batch_size=16", "optimizer.learning_rate=0.02", "patience=9")


def command(*arguments: str) -> list[str]:
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    return ["train", "--threads", "1", "--epochs", "4", "--no-baselines", *settings, *arguments]


def train(out: Path, *arguments: str) -> Manifest:
    assert run(command("--out", str(out), "--quiet", *arguments)) == 0
    return Bundle.open(out).manifest

"""docs/explain.md: its commands and its code run as they stand."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DOCUMENT = (Path(__file__).parents[2] / "docs" / "explain.md").read_text("utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", DOCUMENT, re.S)


@pytest.fixture
def models(toy_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder ``models/tickets`` in the working directory."""
    shutil.copytree(toy_bundle, tmp_path / "models" / "tickets")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    return tmp_path / "models"


def test_the_commands_run(models: Path) -> None:
    (commands,) = blocks("console")
    for command in commands.strip().splitlines():
        done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), command
        assert done.stdout
    assert (models.parent / "why.html").stat().st_size > 5_000


def test_the_code_runs(
    models: Path, start_worker: Callable[..., Any], redis_url: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    start_worker("tickets", models=models)
    monkeypatch.setenv("SORTGATE_REDIS_URL", redis_url)
    for code in blocks("python"):
        exec(compile(code, "docs/explain.md", "exec"), {})
        assert len(capsys.readouterr().out.splitlines()) == 7

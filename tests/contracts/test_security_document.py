"""docs/security.md says what happens: its walk-through runs, in its order, and the refusal reads as it says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sortgate.bundle import Bundle
from sortgate.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs/security.md").read_text("utf-8")


@pytest.fixture
def home(toy_bundle: Path, tmp_path: Path) -> Path:
    """A folder with an unsigned bundle, some texts, and the command ``sortgate``."""
    shutil.copytree(toy_bundle, tmp_path / "models/tickets")
    (tmp_path / "texts.txt").write_text("hello world\n")
    command = tmp_path / "bin/sortgate"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sortgate "$@"\n')
    command.chmod(0o755)
    return tmp_path


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", DOCUMENT, flags=re.MULTILINE | re.DOTALL)


def shell(home: Path, script: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PATH": f"{home / 'bin'}:{os.environ['PATH']}"}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=home, env=env, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def test_the_walk_through_runs_and_openssl_agrees(home: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    keys, trusted, openssl = blocks("console")
    done = shell(home, keys + trusted + openssl)
    assert (done.returncode, done.stderr) == (0, "")
    assert "has signed it" in done.stdout
    assert '"label":' in done.stdout
    assert "Signature Verified Successfully" in done.stdout
    [python] = blocks("python")
    done = subprocess.run([sys.executable, "-c", python], cwd=home, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"[0-9a-f]{16}\n", done.stdout)


def test_the_refusal_reads_as_documented(home: Path) -> None:
    keys, trusted, _ = blocks("console")
    unsigned = "".join(line for line in keys.splitlines(keepends=True) if "keygen" in line)
    done = shell(home, unsigned + trusted)
    assert done.returncode == 78
    [documented] = blocks("text")
    version = Bundle.open(home / "models/tickets").path.name
    assert done.stderr == documented.replace("20260101T120000Z", version)


def test_settings_and_files_named_exist() -> None:
    known = {f"SORTGATE_{name.upper()}" for name in Settings.__dataclass_fields__}
    assert set(re.findall(r"SORTGATE_[A-Z_]+", DOCUMENT)) <= known
    for name in re.findall(r"`((?:tests|\.ci)/[\w/.]+|constraints\.txt)`", DOCUMENT):
        assert (ROOT / name).exists(), name

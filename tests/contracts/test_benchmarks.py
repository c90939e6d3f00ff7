"""Benchmarks are run by hand: what they import must not have moved away meanwhile."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize(
    "path",
    sorted(
        [
            *BENCHMARKS.glob("*/run.py"),
            *BENCHMARKS.glob("plugins/*.py"),
            *(BENCHMARKS / "serving" / f"{name}.py" for name in ("latency", "scaling", "footprint")),
        ]
    ),
    ids=lambda path: f"{path.parent.name}/{path.stem}",
)
def test_it_says_how_it_is_run(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(path), "--help"], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert f"usage: {path.name}" in done.stdout

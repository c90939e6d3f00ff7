"""S3: the message decoder and the bundle loader take no example that ends otherwise than promised.

A short run of every target; for a long one: ``python tests/fuzz/messages.py --help``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import bundles
import messages

SHORT = [("messages", name, 150) for name in messages.TARGETS] + [("bundles", name, 25) for name in bundles.TARGETS]
MODULES = {"messages": messages, "bundles": bundles}


@pytest.mark.parametrize(("module", "name", "examples"), SHORT)
def test_short(module: str, name: str, examples: int) -> None:
    target = MODULES[module].TARGETS[name]
    before = target.ran
    target.run(4, examples)
    assert target.ran - before >= examples


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("module", MODULES)
def test_long(module: str) -> None:
    """By hand's way, with seeds of its own."""
    script = str(Path(__file__).with_name(f"{module}.py"))
    done = subprocess.run(
        [sys.executable, script, "--minutes", os.environ.get("SORTGATE_FUZZ_MINUTES", "1.5")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.endswith("nothing found\n")

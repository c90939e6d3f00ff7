"""Texts for ``sortgate check``, and the command itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sortgate.cli import run

Rows = list[tuple[str, str]]


@pytest.fixture
def rows(rows: Callable[..., Rows]) -> Callable[..., Rows]:
    """Make texts whose words differ in letters, since digits count for nothing here."""
    letters = str.maketrans("0123456789", "abcdefghij")
    return lambda *args, **kwargs: [(text.translate(letters), label) for text, label in rows(*args, **kwargs)]


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Run the command with ``--json``; the exit status must agree with what it says."""

    def check(data: Path, *options: str) -> dict[str, Any]:
        status = run(["check", str(data), "--json", *options])
        report: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert status == int(not report["trainable"])
        return report

    return check

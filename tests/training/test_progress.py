"""What a person sees on a terminal while a model trains."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path


def test_a_bar_moves_on_a_terminal(
    tmp_path: Path, rows: Callable[..., list[tuple[str, str]]], write_rows: Callable[..., Path]
) -> None:
    data = write_rows(tmp_path / "train.csv", rows(300))
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "sortgate", "train", str(data), "--out", str(tmp_path / "model"), "--epochs", "2"]
    command += [
        "--threads",
        "1",
        "--no-baselines",
        "--set",
        "refit=false",
        "--set",
        "model.hidden=8",
        "--set",
        "model.embedding=8",
    ]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "160"}
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL, env=environment) as process:
        os.close(theirs)
        shown = b""
        try:
            while chunk := os.read(ours, 65_536):
                shown += chunk
        except OSError:  # the other side is closed
            pass
    os.close(ours)
    assert process.returncode == 0, shown.decode()
    assert re.search(rb"epoch 1/2 .*loss \d\.\d+ .*texts/s", shown)
    # the bar hides the cursor, and gives it back
    assert shown.count(b"\x1b[?25l") == shown.count(b"\x1b[?25h") > 0

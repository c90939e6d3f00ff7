"""Printing: tables for terminals, tab-separated lines elsewhere, and nothing that steers a terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest

from sortgate.cli.output import print_json, print_json_line, print_table, printable, progress
from sortgate.types import LabelScore

TABLE = "from sortgate.cli.output import print_table; print_table(['name', 'count'], {rows}, title='Things')"


def on_a_terminal(code: str, *, stdout: bool = True) -> str:
    """Run code with stderr, and stdout when asked, on a pseudo-terminal; returns what came out there."""
    main, other = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=other if stdout else subprocess.DEVNULL, stderr=other,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "60", "NO_COLOR": "1"},
    )  # fmt: skip
    os.close(other)
    out = b""
    try:
        while data := os.read(main, 65_536):
            out += data
    except OSError:  # Linux: the other end is closed
        pass
    os.close(main)
    assert process.wait(30) == 0, out
    return out.decode()


def test_a_pipe_gets_tab_separated_lines(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["name", "count"], [["a\tb\n\x1b[31m", 1234], [None, 0.5]], title="Things")
    assert capsys.readouterr().out == "name\tcount\na\\tb\\n\\x1b[31m\t1,234\n–\t0.5\n"
    print_table(["name"], [])
    assert capsys.readouterr().out == "name\n"


def test_a_terminal_gets_a_table() -> None:
    out = on_a_terminal(TABLE.format(rows="[['[red]x', 1], ['y\\x1b[2J', 20]]"))
    assert "Things" in out
    assert "[red]x" in out
    assert "\x1b[2J" not in out
    assert "┃" in out or "|" in out
    assert "nothing to show" in on_a_terminal(TABLE.format(rows="[]"))


PROGRESS = """
from sortgate.cli.output import progress
with progress("working", 3) as advance:
    for _ in range(3):
        advance(1)
"""


def test_progress_is_for_terminals_only(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("working", 3) as advance:
        advance(3)
    assert capsys.readouterr() == ("", "")
    assert "working" in on_a_terminal(PROGRESS, stdout=False)
    assert "working" not in on_a_terminal(PROGRESS, stdout=True)


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"label": "密码", "scores": [LabelScore("a", 0.5)]}
    print_json(value)
    print_json_line(value)
    first, last = capsys.readouterr().out.split("}\n")[:2]
    assert json.loads(first + "}") == json.loads(last + "}") == {"label": "密码", "scores": [["a", 0.5]]}
    assert "\n" not in last
    assert "密码" in last


def test_printable_keeps_letters_of_all_scripts() -> None:
    assert printable("é 密码 ไทย") == "é 密码 ไทย"
    assert printable("\u202egnp.exe\x9b31m") == "\\u202egnp.exe\\x9b31m"

"""``sortgate plugins``: what it lists, shows and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sortgate.cli import run

PLUGIN = """
from sortgate import hookimpl

class Shout:
    "Shouts."
    def __init__(self, times, mark="!"): ...
    def __call__(self, text): return text.upper()

@hookimpl
def sortgate_register_normalizers(register):
    register("zz.shout.v1", Shout)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("SORTGATE_PLUGINS", raising=False)
    monkeypatch.delenv("SORTGATE_PLUGINS_DIR", raising=False)
    (tmp_path / "shout.py").write_text(PLUGIN)
    return tmp_path


def test_list(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plugins", "list", "--plugins-dir", str(folder)]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["kind", "name", "from", "parameters"]
    (shout,) = [line for line in lines if line[1] == "zz.shout.v1"]
    assert shout[0] == "normalizer"
    assert shout[2].startswith("file:shout.py ")
    assert shout[3] == "times, mark"


def test_list_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plugins", "list", "--json", "--plugins-dir", str(folder)]) == 0
    listed = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert listed["sortgate.words.v1"]["kind"] == "tokenizer"
    assert listed["zz.shout.v1"]["origin"] == str(folder / "shout.py")


def test_show(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plugins", "show", "zz.shout.v1", "--plugins-dir", str(folder)]) == 0
    assert "Shouts.\n  times (required)\n  mark = '!'\n" in capsys.readouterr().out
    assert run(["plugins", "show", "sortgate.top_k.v1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["params"] == {"k": "required"}


def test_allow_list_from_the_environment(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SORTGATE_PLUGINS", "")
    assert run(["plugins", "list", "--plugins-dir", str(folder)]) == 0
    assert "zz.shout.v1" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("code", "arguments", "message"),
    [
        (PLUGIN, ["show", "zz.shot.v1"], "did you mean 'zz.shout.v1'?"),
        ("import nothing_such", ["list"], "cannot be imported: ModuleNotFoundError"),
        ("1 / 0", ["show", "zz.shout.v1"], "cannot be imported: ZeroDivisionError"),
    ],
)
def test_errors_are_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], code: str, arguments: list[str], message: str
) -> None:
    (folder / "shout.py").write_text(code)
    assert run(["plugins", *arguments, "--plugins-dir", str(folder)]) == 78
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert message in printed.err

"""``sortgate plugins``: what it lists, shows and refuses."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
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
        ("1 / 0", ["show", "zz.shout.v1"], "cannot be imported: ZeroDivisionError"),
        ("1 / 0", ["show", "shout.py"], "cannot be imported: ZeroDivisionError"),
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


def test_list_goes_on_without_a_broken_plugin_and_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "broken.py").write_text("import nothing_such")
    for arguments in ([], ["--json"]):
        assert run(["plugins", "list", "--plugins-dir", str(folder), *arguments]) == 1
        printed = capsys.readouterr()
        assert "zz.shout.v1" in printed.out
        assert "broken.py cannot be imported: ModuleNotFoundError" in printed.err
        assert printed.err.count("\n") == 1


def test_block_list_from_the_environment(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SORTGATE_PLUGINS_BLOCKED", "shout.py")
    assert run(["plugins", "list", "--plugins-dir", str(folder)]) == 0
    assert "zz.shout.v1" not in capsys.readouterr().out


def test_a_plugin_and_the_bundles_that_use_it(
    folder: Path, capsys: pytest.CaptureFixture[str], make_bundle: Callable[..., Path]
) -> None:
    (folder / "shout.py").write_text(PLUGIN.replace("times, mark", "times=1, mark"))
    models = folder / "models"
    bundles = [
        make_bundle(models / name, normalizers=normalizers, plugins_dir=folder)
        for name, normalizers in (("one", ["zz.shout.v1"]), ("two", ["sortgate.nfkc.v1"]), ("one", ["zz.shout.v1"]))
    ]
    (models / "junk" / "20260101T000000Z").mkdir(parents=True)
    (models / "junk" / "20260101T000000Z" / "manifest.json").write_text("{")
    capsys.readouterr()
    for name in ("shout.py", "file:shout.py", "zz.shout.v1"):
        assert run(["plugins", "show", name, "--plugins-dir", str(folder), "--models", str(models)]) == 0
        shown = capsys.readouterr().out
        assert shown.endswith(f"used by: one/{bundles[0].name}, one/{bundles[2].name}\n")
        assert f"source: SHA-256 {hashlib.sha256((folder / 'shout.py').read_bytes()).hexdigest()}" in shown
    assert run(["plugins", "show", "shout.py", "--plugins-dir", str(folder), "--models", str(models), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["bundles"] == [f"one/{bundles[0].name}", f"one/{bundles[2].name}"]
    assert run(["plugins", "show", "sortgate.nfkc.v1", "--models", str(models)]) == 0
    assert f"used by: two/{bundles[1].name}" in capsys.readouterr().out

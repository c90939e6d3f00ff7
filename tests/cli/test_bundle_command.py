"""``sortgate bundle``: inspecting and verifying."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sortgate import cli
from sortgate.bundle import Bundle


def test_inspect(toy_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["bundle", "inspect", str(toy_bundle)]) == 0
    out = capsys.readouterr().out
    bundle = Bundle.open(toy_bundle)
    for part in (bundle.fingerprint, "billing, login, other", "sortgate.words.v1", "lstm, float32", "file model.onnx"):
        assert part in out


def test_inspect_as_json(toy_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["bundle", "inspect", str(toy_bundle), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    bundle = Bundle.open(toy_bundle)
    assert found["fingerprint"] == bundle.fingerprint
    assert found["path"] == str(bundle.path)
    assert found["manifest"] == json.loads((bundle.path / "manifest.json").read_text())


def test_verify(toy_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["bundle", "verify", str(toy_bundle)]) == 0
    assert "3 golden texts give the same answers" in capsys.readouterr().out
    assert cli.run(["bundle", "verify", str(toy_bundle), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is True
    assert report["files"] == 3
    assert "LSTM" in report["operators"]


def test_verify_refuses_in_one_line(
    toy_bundle: Path, make_bundle: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = shutil.copytree(toy_bundle, tmp_path / "toy")
    (Bundle.open(changed).path / "vocabulary.txt").write_text("other\n")
    spoiled = make_bundle(tmp_path / "spoiled", spoil_golden=True)
    for path, says in (
        (changed, "vocabulary.txt: changed"),
        (spoiled, "golden"),
        (tmp_path / "none", "no such folder"),
    ):
        assert cli.run(["bundle", "verify", str(path)]) == 78
        out, err = capsys.readouterr()
        assert out == ""
        assert says in err
        assert len(err.splitlines()) == 1


def test_inspecting_does_not_need_the_model_to_be_good(toy_bundle: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(toy_bundle, tmp_path / "toy")
    (Bundle.open(copy).path / "model.onnx").write_bytes(b"broken")
    assert cli.run(["bundle", "inspect", str(copy)]) == 0

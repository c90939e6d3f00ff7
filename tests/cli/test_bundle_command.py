"""``sortgate bundle``: inspecting, verifying, signing."""

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
        (tmp_path, f"name one of those below it: {tmp_path / 'spoiled'}, {changed}"),
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


def test_keygen_sign_and_verify(toy_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle, key = shutil.copytree(toy_bundle, tmp_path / "toy"), tmp_path / "release.key"
    assert cli.run(["bundle", "keygen", str(key), "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made == {"private": str(key), "public": f"{key}.pub", "key": made["key"]}
    assert cli.run(["bundle", "sign", str(bundle), "--key", str(key), "--json"]) == 0
    signed = json.loads(capsys.readouterr().out)
    assert signed["key"] == made["key"]
    assert Path(signed["signature"]).is_file()
    assert cli.run(["bundle", "verify", str(bundle), "--key", f"{key}.pub"]) == 0
    assert f"key {made['key']} has signed it" in capsys.readouterr().out
    assert cli.run(["bundle", "verify", str(bundle), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["signed_by"] is None, "nobody's signature was asked for"
    assert cli.run(["bundle", "inspect", str(bundle), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["signatures"] == [made["key"]]
    assert cli.run(["bundle", "inspect", str(bundle)]) == 0
    assert "not checked" in capsys.readouterr().out


def test_signing_is_refused_in_one_line(toy_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle, key = shutil.copytree(toy_bundle, tmp_path / "toy"), tmp_path / "release.key"
    assert cli.run(["bundle", "keygen", str(key)]) == 0
    capsys.readouterr()
    (Bundle.open(bundle).path / "vocabulary.txt").write_text("other\n")
    for command, says in (
        (["keygen", str(key)], "never overwritten"),
        (["sign", str(bundle), "--key", str(key)], "vocabulary.txt: changed"),
        (["sign", str(toy_bundle), "--key", f"{key}.pub"], "a public key"),
        (["verify", str(toy_bundle), "--key", str(key)], "a private key"),
        (["verify", str(toy_bundle), "--key", f"{key}.pub"], "not signed, and --key asks"),
    ):
        assert cli.run(["bundle", *command]) == 78
        out, err = capsys.readouterr()
        assert out == ""
        assert says in err
        assert len(err.splitlines()) == 1
    assert not list(bundle.rglob("signature-*"))

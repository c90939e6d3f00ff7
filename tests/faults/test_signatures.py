"""M3: a signature missing, by another key or of another manifest: refused before ONNX Runtime sees the model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from damage import edit_manifest, reseal
from session_spy import spy_on_sessions
from sortgate import Classifier, cli
from sortgate.bundle import ANYONE, Bundle, sign_bundle, signers
from sortgate.bundle.keys import create_key
from sortgate.errors import BundleSignatureError


@pytest.fixture
def models(toy_bundle: Path, tmp_path: Path) -> Path:
    """A models folder with the bundle ``toy``, signed; the key is beside it, and the public one in ``trusted/``."""
    folder = tmp_path / "models"
    shutil.copytree(toy_bundle, folder / "toy")
    (tmp_path / "trusted").mkdir()
    public, _ = create_key(tmp_path / "release.key")
    public.rename(tmp_path / "trusted" / public.name)
    sign_bundle(Bundle.open(folder / "toy", trust=ANYONE), tmp_path / "release.key")
    return folder


def the_signature(version: Path) -> Path:
    return version / f"signature-{signers(version)[0]}.ed25519"


def remove_the_signature(version: Path, _: Path) -> None:
    the_signature(version).unlink()


def sign_with_another_key(version: Path, keys: Path) -> None:
    the_signature(version).unlink()
    create_key(keys / "other.key")
    sign_bundle(Bundle.open(version, trust=ANYONE), keys / "other.key")


def pass_another_signature_off_as_ours(version: Path, keys: Path) -> None:
    ours = the_signature(version)
    sign_with_another_key(version, keys)
    the_signature(version).rename(ours)


def swap_two_labels(version: Path, _: Path) -> None:
    edit_manifest(version, lambda manifest: manifest["labels"].reverse())


def lower_the_version(version: Path, _: Path) -> None:
    edit_manifest(version, lambda manifest: manifest.update(version="20200101T000000Z"))


def lower_the_format(version: Path, _: Path) -> None:
    def change(manifest: dict[str, Any]) -> None:
        manifest["format_version"] = 1
        for name in ("truncation", "head_share"):
            manifest["limits"].pop(name)

    edit_manifest(version, change)


def replace_the_model(version: Path, keys: Path) -> None:
    """With another good one, and with its digest: only the signature can tell."""
    reseal(version, "model.onnx", (Bundle.open(keys / "second", trust=ANYONE)).read("model.onnx"))


def reformat_the_manifest(version: Path, _: Path) -> None:
    path = version / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text())))


def name_an_old_version_newest(version: Path, _: Path) -> None:
    version.rename(version.with_name("29990101T000000Z"))


CASES: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "signature removed": (remove_the_signature, "not signed"),
    "another key": (sign_with_another_key, "by no key that"),
    "another key under our name": (pass_another_signature_off_as_ours, "is not the one that key"),
    "labels swapped": (swap_two_labels, "is not the one that key"),
    "version lowered": (lower_the_version, "is not the one that key"),
    "format lowered": (lower_the_format, "is not the one that key"),
    "model and digest replaced": (replace_the_model, "is not the one that key"),
    "manifest reformatted": (reformat_the_manifest, "is not the one that key"),
    "old version under a newer name": (name_an_old_version_newest, "holds the signed version"),
}


@pytest.fixture
def keys(toy_models: Path, tmp_path: Path) -> Path:
    """Where tampering finds keys and another good bundle."""
    shutil.copytree(toy_models / "second", tmp_path / "keys" / "second")
    return tmp_path / "keys"


@pytest.mark.parametrize("case", CASES)
def test_refused_before_onnx_runtime_sees_the_model(
    models: Path, keys: Path, case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    change, says = CASES[case]
    change(Bundle.open(models / "toy").path, keys)
    if case not in ("format lowered", "old version under a newer name"):
        Bundle.open(models / "toy")  # nothing but the signature is wrong
    monkeypatch.setenv("SORTGATE_TRUSTED_KEYS", str(models.parent / "trusted"))
    sessions = spy_on_sessions(monkeypatch)
    with pytest.raises(BundleSignatureError, match=says):
        Classifier.load(models / "toy")
    monkeypatch.delenv("SORTGATE_TRUSTED_KEYS")
    for command, env in (
        (["bundle", "verify", str(models / "toy"), "--key", str(models.parent / "trusted")], None),
        (["bundle", "verify", str(models / "toy")], str(models.parent / "trusted")),
        (["classify", str(models / "toy"), __file__], str(models.parent / "trusted")),
    ):
        if env:
            monkeypatch.setenv("SORTGATE_TRUSTED_KEYS", env)
        assert cli.run(command) == 78
        out, err = capsys.readouterr()
        assert out == ""
        assert says in err
        assert len(err.splitlines()) == 1
    assert sessions == []


def test_the_signed_bundle_itself_reaches_onnx_runtime(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SORTGATE_TRUSTED_KEYS", str(models.parent / "trusted"))
    sessions = spy_on_sessions(monkeypatch)
    assert Classifier.load(models / "toy")(["hello world"])[0].label
    assert len(sessions) == 1


@pytest.mark.parametrize("case", [None, "signature removed", "another key", "model and digest replaced"])
def test_worker(start_worker: Callable[..., Any], models: Path, keys: Path, case: str | None) -> None:
    trusted = str(models.parent / "trusted")
    if case is None:
        start_worker(models=models, SORTGATE_TRUSTED_KEYS=trusted)
        return
    change, says = CASES[case]
    change(Bundle.open(models / "toy").path, keys)
    worker = start_worker(models=models, ready=False, SORTGATE_TRUSTED_KEYS=trusted)
    assert worker.process.wait(60) == 78
    [line] = worker.output().splitlines()
    assert line.startswith("sortgate: error: ")
    assert says in line


def test_worker_without_the_key_files_says_so(start_worker: Callable[..., Any], models: Path) -> None:
    worker = start_worker(models=models, ready=False, SORTGATE_TRUSTED_KEYS=str(models.parent / "no-such.pub"))
    assert worker.process.wait(60) == 78
    [line] = worker.output().splitlines()
    assert "no-such.pub" in line

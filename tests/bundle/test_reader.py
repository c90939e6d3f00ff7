"""Opening bundles: each kind of damage is refused, before anything of the bundle is used."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sortgate.bundle import Bundle
from sortgate.errors import BundleError, BundleFormatError, BundleIntegrityError, BundleNotFoundError


@pytest.fixture
def version(toy_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the toy bundle's version folder, to be damaged."""
    source = Bundle.open(toy_bundle).path
    return shutil.copytree(source, tmp_path / "toy" / source.name)


def test_opens_a_version_and_the_newest_of_its_parent(version: Path) -> None:
    bundle = Bundle.open(version)
    assert Bundle.open(version.parent).path == version
    raw = (version / "manifest.json").read_bytes()
    assert bundle.fingerprint == hashlib.sha256(raw).hexdigest()[:32]
    assert bundle.model_name == f"toy/{version.name}"
    assert bundle.read("model.onnx") == (version / "model.onnx").read_bytes()
    later = shutil.copytree(version, version.parent / f"{version.name}-10")
    shutil.copytree(version, version.parent / f"{version.name}-2")
    (version.parent / ".tmp-99990101T000000Z-1-aa").mkdir()
    assert Bundle.open(version.parent).path == later


def flip_a_byte(folder: Path) -> None:
    data = bytearray((folder / "model.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "model.onnx").write_bytes(data)


def truncate(folder: Path) -> None:
    os.truncate(folder / "model.onnx", 100)


def swap_two_files(folder: Path) -> None:
    (folder / "model.onnx").rename(folder / "x")
    (folder / "vocabulary.txt").rename(folder / "model.onnx")
    (folder / "x").rename(folder / "vocabulary.txt")


def link_out(folder: Path) -> None:
    outside = folder.parent / "same.onnx"
    shutil.move(folder / "model.onnx", outside)
    (folder / "model.onnx").symlink_to(outside)


def link_the_manifest(folder: Path) -> None:
    outside = folder.parent / "manifest.json"
    shutil.move(folder / "manifest.json", outside)
    (folder / "manifest.json").symlink_to(outside)


def hard_link_to_something_else(folder: Path) -> None:
    secret = folder.parent / "secret"
    secret.write_text("secret")
    (folder / "model.onnx").unlink()
    os.link(secret, folder / "model.onnx")


def pipe(folder: Path) -> None:
    (folder / "golden.jsonl").unlink()
    os.mkfifo(folder / "golden.jsonl")


def folder_for_a_file(folder: Path) -> None:
    (folder / "golden.jsonl").unlink()
    (folder / "golden.jsonl").mkdir()


def point_outside(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder.parent / "outside.txt").write_bytes((folder / "vocabulary.txt").read_bytes())
    manifest["files"]["../outside.txt"] = manifest["files"]["vocabulary.txt"]
    (folder / "manifest.json").write_text(json.dumps(manifest))


def forget_the_model(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["files"]["model.onnx"]
    (folder / "manifest.json").write_text(json.dumps(manifest))


def no_version(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["version"] = ""
    (folder / "manifest.json").write_text(json.dumps(manifest))


DAMAGE: list[tuple[Callable[[Path], object], type[BundleError], str]] = [
    (flip_a_byte, BundleIntegrityError, "model.onnx: changed"),
    (truncate, BundleIntegrityError, "model.onnx: changed"),
    (swap_two_files, BundleIntegrityError, "changed"),
    (lambda folder: (folder / "model.onnx").unlink(), BundleIntegrityError, "model.onnx: missing"),
    (lambda folder: (folder / "manifest.json").unlink(), BundleFormatError, "no manifest.json"),
    (lambda folder: (folder / "manifest.json").write_text("{"), BundleFormatError, "manifest.json: "),
    (lambda folder: (folder / "weights.bin").write_bytes(b"x"), BundleIntegrityError, "weights.bin: not named"),
    (lambda folder: (folder / "more").mkdir(), BundleIntegrityError, "more: not named"),
    (lambda folder: (folder / ".hidden").touch(), BundleIntegrityError, ".hidden: not named"),
    (link_out, BundleIntegrityError, "model.onnx: a link"),
    (link_the_manifest, BundleIntegrityError, "manifest.json: a link"),
    (lambda folder: (folder / "dangling").symlink_to("nowhere"), BundleIntegrityError, "dangling: a link"),
    (hard_link_to_something_else, BundleIntegrityError, "model.onnx: changed"),
    (pipe, BundleIntegrityError, "golden.jsonl: not a plain file"),
    (folder_for_a_file, BundleIntegrityError, "golden.jsonl: "),
    (point_outside, BundleFormatError, "'../outside.txt' is not a plain path"),
    (forget_the_model, BundleFormatError, "no digest for 'model.onnx'"),
    (no_version, BundleFormatError, "no version"),
]


@pytest.mark.parametrize(("damage", "error", "says"), DAMAGE, ids=lambda value: getattr(value, "__name__", str(value)))
def test_damage_is_refused_in_one_line(
    version: Path, damage: Callable[[Path], object], error: type[BundleError], says: str
) -> None:
    damage(version)
    with pytest.raises(error) as caught:
        Bundle.open(version)
    message = str(caught.value)
    assert says in message
    assert str(version) in message
    assert "\n" not in message
    assert "secret" not in message


def test_an_extra_label_in_the_manifest_changes_the_fingerprint(version: Path) -> None:
    before = Bundle.open(version).fingerprint
    text = (version / "manifest.json").read_text()
    (version / "manifest.json").write_text(text + "\n")
    assert Bundle.open(version).fingerprint != before


def test_a_link_as_version_folder_is_refused(version: Path, tmp_path: Path) -> None:
    parent = tmp_path / "linked"
    parent.mkdir()
    (parent / version.name).symlink_to(version)
    with pytest.raises(BundleIntegrityError, match="not a folder"):
        Bundle.open(parent)


def test_without_verifying_a_changed_file_is_refused_when_it_is_read(version: Path) -> None:
    flip_a_byte(version)
    bundle = Bundle.open(version, verify=False)
    bundle.read("vocabulary.txt")
    with pytest.raises(BundleIntegrityError, match="changed"):
        bundle.read("model.onnx")


def test_a_file_that_becomes_a_link_after_opening_is_refused(version: Path) -> None:
    bundle = Bundle.open(version)
    link_out(version)
    with pytest.raises(BundleIntegrityError, match="a link"):
        bundle.read("model.onnx")


def test_a_hard_link_to_the_right_bytes_is_fine(version: Path) -> None:
    os.link(version / "model.onnx", version.parent / "copy.onnx")
    Bundle.open(version)


def test_only_named_files_are_read(version: Path) -> None:
    bundle = Bundle.open(version)
    for name in ("manifest.json", "../secret", "/etc/passwd", ""):
        with pytest.raises(BundleIntegrityError, match="names no file"):
            bundle.read(name)


@pytest.mark.parametrize("make", ["nothing", "empty", "file", "nul"])
def test_no_bundle_there(tmp_path: Path, make: str) -> None:
    path = tmp_path / ("a\0b" if make == "nul" else "toy")
    if make == "empty":
        path.mkdir()
    elif make == "file":
        path.touch()
    with pytest.raises(BundleNotFoundError) as caught:
        Bundle.open(path)
    assert "toy" in str(caught.value) or make == "nul"
    assert "\n" not in str(caught.value)

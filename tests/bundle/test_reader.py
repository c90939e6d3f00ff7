"""Opening bundles: each kind of damage is refused, before anything of the bundle is used."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from damage import DAMAGE, flip_a_byte, link_out
from sortgate.bundle import Bundle
from sortgate.errors import BundleError, BundleIntegrityError, BundleNotFoundError


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

"""Damage to a bundle's version folder, each kind with the error that refuses it; and edits with right digests."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sortgate.errors import BundleError, BundleFormatError, BundleIntegrityError


def edit_manifest(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Let ``change`` alter the manifest in place."""
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


def reseal(folder: Path, name: str, data: bytes) -> None:
    """Replace a file and its digest, as somebody would who may write to the folder."""
    (folder / name).write_bytes(data)
    edit_manifest(folder, lambda manifest: manifest["files"].update({name: hashlib.sha256(data).hexdigest()}))


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
    (folder.parent / "outside.txt").write_bytes((folder / "vocabulary.txt").read_bytes())
    edit_manifest(folder, lambda manifest: manifest["files"].update({"../outside.txt": "0" * 64}))


def forget_the_model(folder: Path) -> None:
    edit_manifest(folder, lambda manifest: manifest["files"].pop("model.onnx"))


def no_version(folder: Path) -> None:
    edit_manifest(folder, lambda manifest: manifest.update(version=""))


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

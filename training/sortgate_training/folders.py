"""A bundle's version folder as bytes in memory, and back: for what must live without a folder."""

from __future__ import annotations

from pathlib import Path

import msgspec

from sortgate.bundle import ANYONE, Bundle, write_bundle
from sortgate.bundle.manifest import MANIFEST_FILE


def pack_folder(folder: Path) -> dict[str, bytes]:
    """Return all files of a bundle by their names, the manifest among them.

    Raises:
        BundleError: the bundle is damaged.
    """
    bundle = Bundle.open(folder, trust=ANYONE)
    files = {name: bundle.read(name) for name in bundle.manifest.files}
    return {MANIFEST_FILE: (bundle.path / MANIFEST_FILE).read_bytes(), **files}


def unpack_folder(files: dict[str, bytes], folder: Path) -> None:
    """Write the files below ``folder``; whoever opens the bundle compares them with their digests."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def add_version(folder: Path, out: Path) -> Path:
    """Write the bundle in ``folder`` as a new version under ``out``, named after it, and return the version's folder.

    Raises:
        BundleError: it cannot be written.
    """
    bundle = Bundle.open(folder, trust=ANYONE)
    manifest = msgspec.structs.replace(bundle.manifest, name=out.name, version="", files={})
    return write_bundle(out, manifest, {name: bundle.read(name) for name in bundle.manifest.files})

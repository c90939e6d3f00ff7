"""Writes a bundle whole or not at all: into a temporary folder, synced, then renamed into place."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from sortgate.bundle.manifest import MANIFEST_FILE, Manifest, encode_manifest
from sortgate.bundle.versions import version_name
from sortgate.errors import BundleError

_TAKEN = {errno.EEXIST, errno.ENOTEMPTY}


def write_bundle(parent: Path, manifest: Manifest, files: Mapping[str, bytes], now: datetime | None = None) -> Path:
    """Write a new version under ``parent`` and return its folder; versions there are never touched.

    Args:
        parent: ``models/<name>``; made when absent.
        manifest: complete but for ``version`` and ``files``.
        files: content of every other file, by its path in the bundle.

    Raises:
        BundleError: the disk is full or cannot be written; nothing is left behind.
    """
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}
    temporary: Path | None = None
    try:
        parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".tmp-", dir=parent))
        temporary.chmod(0o755)
        for name, data in files.items():
            path = temporary / name
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, data)
        for clash in range(1, 1000):
            version = version_name(now, clash)
            if (parent / version).exists():
                continue
            complete = msgspec.structs.replace(manifest, version=version, files=digests)
            _write(temporary / MANIFEST_FILE, encode_manifest(complete))
            _sync_folder(temporary)
            try:
                # rename() onto a folder that another process has just written fails: it is not empty
                temporary.rename(parent / version)
            except OSError as error:
                if error.errno not in _TAKEN:
                    raise
                continue
            _sync_folder(parent)
            return parent / version
        raise BundleError(f"{parent}: too many versions were written in one second")
    except OSError as error:
        raise BundleError(f"{parent} cannot be written: {error.strerror or error}") from None
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

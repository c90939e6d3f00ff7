"""Writing a bundle: everything goes to a temporary folder, which is then renamed into place."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from sortgate.bundle.manifest import MANIFEST_FILE, Manifest, check_manifest, encode_manifest
from sortgate.bundle.versions import version_name, version_stamp
from sortgate.errors import BundleError

#: Folders with this prefix are unfinished; readers pass them over.
TEMPORARY_PREFIX = ".tmp-"
_MAX_ATTEMPTS = 1_000


def write_bundle(
    parent: str | os.PathLike[str], manifest: Manifest, files: Mapping[str, bytes], now: datetime | None = None
) -> Path:
    """Write a new version under ``parent`` and return its folder.

    ``manifest`` comes without version and digests, which are filled in here. The folder appears in one step, complete
    and synced to disk; an existing version is never touched, also when two processes write in the same second.

    Raises:
        BundleFormatError: the manifest is impossible.
        BundleError: the disk is full, or the folder cannot be written.
    """
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}
    stamp = version_stamp(now)
    complete = msgspec.structs.replace(manifest, version=stamp, files=digests)
    check_manifest(complete)
    folder = Path(parent)
    made: list[Path] = []
    temporary = folder / f"{TEMPORARY_PREFIX}{stamp}-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        made = _make_parents(folder)
        temporary.mkdir()
        _write_files(temporary, files)
        target = _move_into_place(temporary, folder, complete, stamp)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        for created in reversed(made):
            try:
                created.rmdir()
            except OSError:
                break  # someone else has put something there meanwhile
        if isinstance(error, OSError):
            raise BundleError(f"cannot write the bundle to {folder}: {error.strerror or error}") from None
        raise
    return target


def _make_parents(folder: Path) -> list[Path]:
    """Create ``folder``; return the folders that were not there, outermost first."""
    missing = []
    current = folder
    while not current.exists() and current != current.parent:
        missing.append(current)
        current = current.parent
    missing.reverse()
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    folders = {folder}
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        folders.add(path.parent)
        _write_synced(path, data)
    for path in folders:
        _sync_folder(path)


def _move_into_place(temporary: Path, parent: Path, manifest: Manifest, stamp: str) -> Path:
    """Write the manifest and rename; a version that is taken by then is retried with the next suffix."""
    for attempt in range(1, _MAX_ATTEMPTS):
        name = version_name(stamp, attempt)
        target = parent / name
        if os.path.lexists(target):
            continue
        path = temporary / MANIFEST_FILE
        path.unlink(missing_ok=True)
        _write_synced(path, encode_manifest(msgspec.structs.replace(manifest, version=name)))
        _sync_folder(temporary)
        try:
            temporary.rename(target)  # POSIX: fails when another process has put a folder with files there
        except OSError as error:
            if error.errno in {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR}:
                continue
            raise
        _sync_folder(parent)
        return target
    raise BundleError(f"cannot write the bundle to {parent}: {_MAX_ATTEMPTS} versions of {stamp} exist")


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    """Make the folder's entries survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Opening a bundle: finds the version, refuses whatever is not exactly what the manifest names."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from sortgate.bundle.manifest import MANIFEST_FILE, MAX_FILES, MAX_MANIFEST_BYTES, Manifest, decode_manifest
from sortgate.bundle.versions import VERSION_NAME, newest_version
from sortgate.errors import BundleError, BundleFormatError, BundleIntegrityError, BundleNotFoundError

MAX_FILE_BYTES = 2**30
_COPY_AGAIN = "copy or export the bundle again"


class Bundle:
    """A bundle's version folder whose manifest has been read.

    Attributes:
        path: the version folder.
        manifest: the checked manifest.
        fingerprint: first 32 hexadecimal digits of the SHA-256 of ``manifest.json``. The manifest holds the digest
            of every other file, so the fingerprint stands for all of them.
    """

    def __init__(self, path: Path, manifest: Manifest, fingerprint: str) -> None:
        self.path = path
        self.manifest = manifest
        self.fingerprint = fingerprint

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, verify: bool = True) -> Bundle:
        """Open a version folder, or the newest version in the folder of a bundle.

        With ``verify`` every file is read and compared with its digest now; without, each file is compared when it
        is read. Links are refused, and so are files that the manifest does not name.

        Raises:
            BundleNotFoundError: there is no bundle at ``path``.
            BundleFormatError: the manifest is unreadable or of an unknown format version.
            BundleIntegrityError: a file is missing, extra, changed, or no plain file.
        """
        folder = _version_folder(Path(path))
        raw = _read_plain(folder / MANIFEST_FILE, MAX_MANIFEST_BYTES)
        manifest = decode_manifest(raw, str(folder / MANIFEST_FILE))
        if not manifest.version:
            raise BundleFormatError(f"{folder / MANIFEST_FILE}: no version; {_COPY_AGAIN}")
        bundle = cls(folder, manifest, hashlib.sha256(raw).hexdigest()[:32])
        bundle._check_names()
        if verify:
            for name in manifest.files:
                bundle.read(name)
        return bundle

    @property
    def model_name(self) -> str:
        """``name/version``, as predictions and results carry it."""
        return f"{self.manifest.name}/{self.manifest.version}"

    def read(self, name: str) -> bytes:
        """Return a file's bytes. They are the very bytes that were compared with the digest, so use no others.

        Raises:
            BundleIntegrityError: the file is not named by the manifest, missing, or changed.
        """
        expected = self.manifest.files.get(name)
        if expected is None:
            raise BundleIntegrityError(f"{self.path}: the manifest names no file {name[:80]!r}")
        data = _read_plain(self.path / name, MAX_FILE_BYTES)
        if hashlib.sha256(data).hexdigest() != expected:
            raise BundleIntegrityError(f"{self.path / name}: changed since the bundle was written; {_COPY_AGAIN}")
        return data

    def _check_names(self) -> None:
        """Refuse links, special files, and files or folders that the manifest does not name."""
        named = set(self.manifest.files)
        folders = {name.rsplit("/", depth)[0] for name in named for depth in range(1, name.count("/") + 1)}
        left = MAX_FILES + 2
        pending = [""]
        while pending:
            base = pending.pop()
            try:
                entries = sorted(os.scandir(self.path / base), key=lambda entry: entry.name)
            except OSError as error:
                raise BundleIntegrityError(f"{self.path / base}: {error.strerror}") from None
            for entry in entries:
                left -= 1
                if left < 0:
                    raise BundleIntegrityError(f"{self.path}: more than {MAX_FILES} files; {_COPY_AGAIN}")
                name = base + entry.name
                if entry.is_symlink():
                    raise BundleIntegrityError(f"{self.path / name}: a link; a bundle holds plain files only")
                if entry.is_dir(follow_symlinks=False) and name in folders:
                    pending.append(name + "/")
                elif name not in named and name != MANIFEST_FILE:
                    raise BundleIntegrityError(
                        f"{self.path / name!s}: not named by the manifest; remove it, or {_COPY_AGAIN}"
                    )
                else:
                    named.discard(name)
        if named:
            raise BundleIntegrityError(f"{self.path / min(named)}: missing; {_COPY_AGAIN}")


def _version_folder(path: Path) -> Path:
    """Return the version folder meant by ``path``."""
    try:
        if not stat.S_ISDIR(path.stat().st_mode):
            raise BundleNotFoundError(f"{path}: not a folder; name a bundle's folder or one of its versions")
        if os.path.lexists(path / MANIFEST_FILE):
            return path
        newest = newest_version(path)
    except FileNotFoundError:
        raise BundleNotFoundError(f"{path}: no such folder; name a bundle's folder or one of its versions") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise BundleNotFoundError(f"{str(path)!r}: {reason}; name a bundle's folder or one of its versions") from None
    if newest is not None:
        folder = path / newest
        if folder.is_symlink() or not folder.is_dir():
            raise BundleIntegrityError(f"{folder}: not a folder; a version is a plain folder")
        return folder
    if VERSION_NAME.fullmatch(path.name):
        raise BundleFormatError(f"{path}: no {MANIFEST_FILE} in it; {_COPY_AGAIN}")
    raise BundleNotFoundError(f"{path}: neither a {MANIFEST_FILE} nor a version folder in it; train a bundle first")


def _read_plain(path: Path, limit: int) -> bytes:
    """Read a regular file of at most ``limit`` bytes; never follows a link, never waits on a pipe."""
    # A hard link is not refused: tools that copy folders make them, and only the verified bytes are ever used.
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
            state = os.fstat(descriptor)
            if not stat.S_ISREG(state.st_mode):
                raise BundleIntegrityError(f"{path}: not a plain file; {_COPY_AGAIN}")
            if state.st_size > limit:
                raise BundleIntegrityError(f"{path}: {state.st_size} bytes, more than the {limit} allowed")
            data = file.read(limit + 1)
    except FileNotFoundError:
        problem: type[BundleError] = BundleFormatError if path.name == MANIFEST_FILE else BundleIntegrityError
        raise problem(f"{path}: missing; {_COPY_AGAIN}") from None
    except OSError as error:
        if path.is_symlink():
            raise BundleIntegrityError(f"{path}: a link; a bundle holds plain files only") from None
        raise BundleIntegrityError(f"{path}: {error.strerror}; {_COPY_AGAIN}") from None
    if len(data) > limit:
        raise BundleIntegrityError(f"{path}: more than the {limit} bytes allowed")
    return data

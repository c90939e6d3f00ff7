"""Opens a bundle: every file is checked against the manifest's digest, and the bytes checked are the bytes used."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path, PurePosixPath

from sortgate.bundle.manifest import MANIFEST_FILE, Manifest, decode_manifest, fingerprint_of
from sortgate.bundle.versions import newest_version
from sortgate.errors import BundleFormatError, BundleIntegrityError, BundleNotFoundError

MAX_FILE_BYTES = 1 << 30


class Bundle:
    """One version of a bundle, opened for reading. Made by :meth:`open`.

    Attributes:
        path: its version folder.
        manifest: what it says of itself.
        fingerprint: digest of the manifest, 32 hex digits; identifies the bundle in every result.
    """

    def __init__(self, path: Path, manifest: Manifest, fingerprint: str) -> None:
        self.path = path
        self.manifest = manifest
        self.fingerprint = fingerprint

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, verify: bool = True) -> Bundle:
        """Open a version folder, or the newest version of its parent.

        Args:
            verify: read every file and compare its digest now; :meth:`read` always does.

        Raises:
            BundleNotFoundError: there is no bundle.
            BundleFormatError: the manifest is unreadable or of an unknown format version.
            BundleIntegrityError: a file is missing, changed, extra or a link.
        """
        folder = newest_version(Path(path))
        data = _read_file(folder, MANIFEST_FILE)
        manifest = decode_manifest(data, str(folder))
        bundle = cls(folder, manifest, fingerprint_of(data))
        for name in manifest.files:
            _check_name(folder, name)
        for name in (manifest.model.file, manifest.vocabulary, manifest.golden):
            if name not in manifest.files:
                raise BundleFormatError(f"{folder}: manifest.json names no digest for {name}")
        for record in manifest.text:
            if record.state is not None and record.state not in manifest.files:
                raise BundleFormatError(f"{folder}: manifest.json names no digest for {record.state}")
        bundle._check_listing()
        if verify:
            for name in manifest.files:
                bundle.read(name)
        return bundle

    @property
    def model_name(self) -> str:
        """``name/version``, as results carry it."""
        return f"{self.manifest.name}/{self.manifest.version}"

    def read(self, name: str) -> bytes:
        """Return a file's bytes.

        Raises:
            BundleIntegrityError: it is missing or not the file the manifest names.
        """
        data = _read_file(self.path, name)
        if hashlib.sha256(data).hexdigest() != self.manifest.files.get(name):
            raise BundleIntegrityError(
                f"{self.path}: {name} is not the file this bundle was written with (SHA-256 differs): copy the bundle again"
            )
        return data

    def _check_listing(self) -> None:
        expected = {MANIFEST_FILE, *self.manifest.files}
        found = set()
        for folder, folders, files in os.walk(self.path, followlinks=False):
            for name in (*folders, *files):
                path = Path(folder, name)
                if path.is_symlink():
                    raise BundleIntegrityError(f"{path} is a symbolic link: a bundle holds plain files only")
                if name in files:
                    found.add(path.relative_to(self.path).as_posix())
        if missing := sorted(expected - found):
            raise BundleIntegrityError(f"{self.path}: {missing[0]} is missing: copy the bundle again")
        if extra := sorted(found - expected):
            raise BundleIntegrityError(f"{self.path}: {extra[0]} does not belong to the bundle: remove it")


def _check_name(folder: Path, name: str) -> None:
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or "\\" in name or "\0" in name or ".." in parts or name == MANIFEST_FILE:
        raise BundleFormatError(f"{folder}: manifest.json names a file outside the bundle: {name!r}")


def _read_file(folder: Path, name: str) -> bytes:
    path = folder / name
    try:
        # O_NOFOLLOW: the file must not become a link between the check and the reading
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb") as file:
            info = os.fstat(file.fileno())
            if not stat.S_ISREG(info.st_mode):
                raise BundleIntegrityError(f"{path} is not a plain file")
            if info.st_size > MAX_FILE_BYTES:
                raise BundleIntegrityError(f"{path} is larger than {MAX_FILE_BYTES} bytes")
            return file.read()
    except FileNotFoundError:
        kind = BundleNotFoundError if name == MANIFEST_FILE else BundleIntegrityError
        raise kind(f"{folder}: {name} is missing") from None
    except OSError as error:
        raise BundleIntegrityError(f"{path} cannot be read: {error.strerror}") from None

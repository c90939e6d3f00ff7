"""Opening a bundle: finds the version, refuses whatever is not exactly what the manifest names."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from sortgate.bundle.files import COPY_AGAIN, read_plain
from sortgate.bundle.manifest import (
    MANIFEST_FILE,
    MAX_FILES,
    MAX_MANIFEST_BYTES,
    MAX_SIGNATURES,
    SIGNATURE_FILE,
    Manifest,
    decode_manifest,
    shown,
)
from sortgate.bundle.signing import Trust
from sortgate.bundle.versions import VERSION_NAME, newest_version
from sortgate.errors import BundleFormatError, BundleIntegrityError, BundleNotFoundError, BundleSignatureError

MAX_FILE_BYTES = 2**30


class Bundle:
    """A bundle's version folder whose manifest has been read.

    Attributes:
        path: the version folder.
        manifest: the checked manifest.
        fingerprint: first 32 hexadecimal digits of the SHA-256 of ``manifest.json``. The manifest holds the digest
            of every other file, so the fingerprint stands for all of them.
        signed_by: id of the trusted key that has signed it, None when signatures were not looked at.
    """

    def __init__(self, path: Path, manifest: Manifest, digest: str, signed_by: str | None = None) -> None:
        self.path = path
        self.manifest = manifest
        self.fingerprint = digest[:32]
        self.signed_by = signed_by
        self._digest = digest

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, verify: bool = True, trust: Trust | None = None) -> Bundle:
        """Open a version folder, or the newest version in the folder of a bundle.

        With ``verify`` every file is read and compared with its digest now; without, each file is compared when it
        is read. Links are refused, and so are files that the manifest does not name, signatures aside.
        ``trust`` says whose signature is needed; by default what ``SORTGATE_TRUSTED_KEYS`` says. It is looked for
        before anything else of the bundle is read.

        Raises:
            BundleNotFoundError: there is no bundle at ``path``.
            BundleFormatError: the manifest is unreadable or of an unknown format version.
            BundleIntegrityError: a file is missing, extra, changed, or no plain file.
            BundleSignatureError: no trusted key has signed it as it is.
            ConfigurationError: the trusted keys cannot be read.
        """
        if trust is None:
            trust = Trust.from_settings()
        folder = _version_folder(Path(path))
        raw = read_plain(folder / MANIFEST_FILE, MAX_MANIFEST_BYTES)
        signed_by = trust.check(folder, raw)
        manifest = decode_manifest(raw, str(folder / MANIFEST_FILE))
        if not manifest.version:
            raise BundleFormatError(f"{folder / MANIFEST_FILE}: no version; {COPY_AGAIN}")
        if signed_by is not None:
            _refuse_another_version(folder, manifest.version)
        bundle = cls(folder, manifest, hashlib.sha256(raw).hexdigest(), signed_by)
        bundle._check_names()
        if verify:
            for name in manifest.files:
                bundle.read(name)
        return bundle

    @property
    def model_name(self) -> str:
        """``name/version``, as predictions and results carry it."""
        return f"{self.manifest.name}/{self.manifest.version}"

    def is_of(self, manifest: bytes) -> bool:
        """Whether these are the bytes of ``manifest.json`` that the bundle was opened with."""
        return hashlib.sha256(manifest).hexdigest() == self._digest

    def read(self, name: str) -> bytes:
        """Return a file's bytes. They are the very bytes that were compared with the digest, so use no others.

        Raises:
            BundleIntegrityError: the file is not named by the manifest, missing, or changed.
        """
        expected = self.manifest.files.get(name)
        if expected is None:
            raise BundleIntegrityError(f"{self.path}: the manifest names no file {name[:80]!r}")
        data = read_plain(self.path / name, MAX_FILE_BYTES)
        if hashlib.sha256(data).hexdigest() != expected:
            raise BundleIntegrityError(f"{self.path / name}: changed since the bundle was written; {COPY_AGAIN}")
        return data

    def _check_names(self) -> None:
        """Refuse links, special files, and files or folders that the manifest does not name."""
        named = set(self.manifest.files)
        folders = {name.rsplit("/", depth)[0] for name in named for depth in range(1, name.count("/") + 1)}
        left = MAX_FILES + MAX_SIGNATURES + 2
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
                    raise BundleIntegrityError(f"{self.path}: more than {MAX_FILES} files; {COPY_AGAIN}")
                name = base + entry.name
                if entry.is_symlink():
                    raise BundleIntegrityError(f"{self.path / shown(name)}: a link; a bundle holds plain files only")
                if entry.is_dir(follow_symlinks=False) and name in folders:
                    pending.append(name + "/")
                elif name not in named and name != MANIFEST_FILE and not _is_signature(name, entry):
                    raise BundleIntegrityError(
                        f"{self.path / shown(name)}: not named by the manifest; remove it, or {COPY_AGAIN}"
                    )
                else:
                    named.discard(name)
        if named:
            raise BundleIntegrityError(f"{self.path / min(named)}: missing; {COPY_AGAIN}")


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
        raise BundleFormatError(f"{path}: no {MANIFEST_FILE} in it; {COPY_AGAIN}")
    below = _bundles_in(path)
    hint = f"name one of those below it: {', '.join(below[:5])}" if below else "train a bundle first"
    raise BundleNotFoundError(f"{path}: neither a {MANIFEST_FILE} nor a version folder in it; {hint}")


def _bundles_in(path: Path) -> list[str]:
    try:
        return sorted(str(each) for each in path.iterdir() if each.is_dir() and newest_version(each) is not None)
    except OSError:
        return []


def _is_signature(name: str, entry: os.DirEntry[str]) -> bool:
    return SIGNATURE_FILE.fullmatch(name) is not None and entry.is_file(follow_symlinks=False)


def _refuse_another_version(folder: Path, version: str) -> None:
    """Refuse an old signed bundle in a folder that is named after a newer one: the newest is what a worker serves."""
    name = folder.resolve().name
    if VERSION_NAME.fullmatch(name) and name != version:
        raise BundleSignatureError(
            f"{folder}: holds the signed version {version}; the folder of a version is not renamed: name it {version}"
        )

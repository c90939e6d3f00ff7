"""Version folders ``models/<name>/<version>``: the UTC time of writing, ``-2``, ``-3``, … on a clash."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from sortgate.bundle.manifest import MANIFEST_FILE
from sortgate.errors import BundleNotFoundError

_VERSION = re.compile(r"(\d{8}T\d{6}Z)(?:-([1-9]\d{0,8}))?")


def version_name(now: datetime | None = None, clash: int = 1) -> str:
    """Return the name of a version written ``now``."""
    stamp = (now or datetime.now(UTC)).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    return stamp if clash == 1 else f"{stamp}-{clash}"


def version_folders(parent: Path) -> list[Path]:
    """Return the version folders under ``parent``, oldest first; anything else there is passed over."""
    found = []
    for path in parent.iterdir():
        match = _VERSION.fullmatch(path.name)
        if match and path.is_dir():
            found.append((match[1], int(match[2] or 1), path))
    return [path for _, _, path in sorted(found)]


def newest_version(path: Path) -> Path:
    """Return ``path`` itself when it is a version folder, else the newest version under it.

    Raises:
        BundleNotFoundError: there is none; says what is there instead.
    """
    if (path / MANIFEST_FILE).is_file() or (path.is_dir() and _VERSION.fullmatch(path.name)):
        return path
    if not path.exists():
        near = sorted(p.name for p in path.parent.iterdir() if p.is_dir())[:8] if path.parent.is_dir() else []
        hint = f"; in {path.parent} there is {', '.join(near)}" if near else ""
        raise BundleNotFoundError(f"no bundle at {path}{hint}: train one with `sortgate train DATA --out {path}`")
    if not path.is_dir():
        raise BundleNotFoundError(f"{path} is a file: give the bundle's folder")
    versions = version_folders(path)
    if not versions:
        raise BundleNotFoundError(f"{path} holds no version of a bundle: train one with `sortgate train DATA --out {path}`")
    return versions[-1]

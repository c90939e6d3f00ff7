"""Version folders of a bundle: how they are named, ordered and found."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

VERSION_NAME = re.compile(r"(\d{8}T\d{6}Z)(?:-([1-9]\d{0,5}))?", re.ASCII)


def version_stamp(now: datetime | None = None) -> str:
    """Return ``now`` (an aware time, else the present) as ``YYYYMMDDTHHMMSSZ``."""
    return (now or datetime.now(UTC)).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def version_name(stamp: str, attempt: int) -> str:
    """Return the folder name of the ``attempt``-th bundle written in one second, counted from 1."""
    return stamp if attempt == 1 else f"{stamp}-{attempt}"


def version_key(name: str) -> tuple[str, int]:
    """Sort key that puts ``…Z-2`` before ``…Z-10``.

    Raises:
        ValueError: ``name`` is no version.
    """
    match = VERSION_NAME.fullmatch(name)
    if match is None:
        raise ValueError(name)
    return match[1], int(match[2] or 1)


def list_versions(parent: Path) -> list[str]:
    """Return the names of the version folders in ``parent``, oldest first; temporary folders are none.

    Raises:
        OSError: ``parent`` cannot be listed.
    """
    names = [entry.name for entry in parent.iterdir() if VERSION_NAME.fullmatch(entry.name)]
    return sorted(names, key=version_key)


def newest_version(parent: Path) -> str | None:
    """Return the greatest version name in ``parent``, None when there is none."""
    versions = list_versions(parent)
    return versions[-1] if versions else None

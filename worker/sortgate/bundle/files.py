"""Reading one file of a bundle: a regular file of bounded size, never a link or a pipe."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from sortgate.bundle.manifest import MANIFEST_FILE
from sortgate.errors import BundleError, BundleFormatError, BundleIntegrityError

COPY_AGAIN = "copy or export the bundle again"


def read_plain(path: Path, limit: int) -> bytes:
    """Read a regular file of at most ``limit`` bytes; never follows a link, never waits on a pipe.

    Raises:
        BundleFormatError: it is the manifest, and missing.
        BundleIntegrityError: it is missing, too large, no plain file, or cannot be read.
    """
    # A hard link is not refused: tools that copy folders make them, and only the verified bytes are ever used.
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as file:
            state = os.fstat(descriptor)
            if not stat.S_ISREG(state.st_mode):
                raise BundleIntegrityError(f"{path}: not a plain file; {COPY_AGAIN}")
            if state.st_size > limit:
                raise BundleIntegrityError(f"{path}: {state.st_size} bytes, more than the {limit} allowed")
            data = file.read(limit + 1)
    except FileNotFoundError:
        problem: type[BundleError] = BundleFormatError if path.name == MANIFEST_FILE else BundleIntegrityError
        raise problem(f"{path}: missing; {COPY_AGAIN}") from None
    except OSError as error:
        if path.is_symlink():
            raise BundleIntegrityError(f"{path}: a link; a bundle holds plain files only") from None
        raise BundleIntegrityError(f"{path}: {error.strerror}; {COPY_AGAIN}") from None
    if len(data) > limit:
        raise BundleIntegrityError(f"{path}: more than the {limit} bytes allowed")
    return data

"""Files that commands write beside what they print: whole or not at all, and never over what was read."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from sortgate.errors import ConfigurationError


def check_no_input(named: str, path: Path, inputs: Iterable[str | Path]) -> None:
    """Refuse to write over a file that is read.

    Args:
        named: the option and its value, for people.
        path: to be written.
        inputs: files that are read.

    Raises:
        ConfigurationError: it is one of them.
    """
    for read in inputs:
        with contextlib.suppress(OSError, ValueError):
            if path.samefile(read):
                raise ConfigurationError(f"{named} is a file that is read here; name another")


def write_file(named: str, path: Path, content: bytes) -> None:
    """Write a file beside its place and move it there; a device or a pipe is written to as it is.

    Raises:
        ConfigurationError: it cannot be written; what was there before is left as it was.
    """
    beside = None
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return
        target = path.resolve()  # a link stays one
        beside = target.with_name(f".{target.name}.{os.getpid()}")
        beside.write_bytes(content)
        if target.exists():
            beside.chmod(target.stat().st_mode & 0o7777)
        beside.replace(target)
    except (OSError, ValueError) as error:
        if beside is not None:
            with contextlib.suppress(OSError, ValueError):
                beside.unlink(missing_ok=True)
        raise ConfigurationError(f"{named}: {getattr(error, 'strerror', None) or error}") from None

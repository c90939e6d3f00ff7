"""The digest of an installed plugin's source, which a bundle records: two builds of one version may differ."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

#: What an interpreter or a build leaves behind; compiled extensions differ from machine to machine.
_LEFT_OUT = {".pyc", ".pyo", ".so", ".pyd", ".dylib"}


@cache
def source_digest(module: str) -> str | None:
    """Return the SHA-256 (hex) over the files of the top-level package or module that ``module`` is in.

    Nothing of it is imported. Where the top level is a namespace that distributions share, what is below it counts.
    Taken over each file's path below the package, in order, and its contents. Cached folders (``__pycache__``), hidden
    files and compiled extensions do not count. None when there is no source to read (a zipped or frozen module).
    """
    spec = None
    parts = module.split(".")
    for length in range(1, len(parts) + 1):
        try:
            spec = find_spec(".".join(parts[:length]))
        except (ImportError, ValueError):
            return None
        if spec is None:
            return None
        if spec.origin is not None:  # a namespace has none
            break
    if spec is None:
        return None
    roots = [Path(root) for root in spec.submodule_search_locations or ()]
    if not roots and spec.origin and Path(spec.origin).is_file():
        return _over({Path(spec.origin).name: Path(spec.origin)})
    files = {
        path.relative_to(root).as_posix(): path
        for root in roots
        for path in root.rglob("*")
        if path.is_file() and not _left_out(path.relative_to(root))
    }
    return _over(files) if files else None


def _left_out(path: Path) -> bool:
    return path.suffix in _LEFT_OUT or any(part == "__pycache__" or part.startswith(".") for part in path.parts)


def _over(files: dict[str, Path]) -> str | None:
    digest = hashlib.sha256()
    try:
        for name, path in sorted(files.items()):
            digest.update(name.encode("utf-8", "surrogateescape") + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    except OSError:
        return None
    return digest.hexdigest()

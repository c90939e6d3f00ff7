"""Finds plugins, entry points of group ``sortgate`` and the files of a folder, and imports the ones that are wanted."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from sortgate.errors import FOREIGN, ConfigurationError, PluginLoadError, PluginVersionError
from sortgate.plugins.digest import source_digest
from sortgate.plugins.source import FILE_PREFIX, Source, canonical, titled

ENTRY_POINTS = "sortgate"

#: Plugin file's name in a record (``file:<name>.py``) to the SHA-256 digests its bundles pin.
Pins = Mapping[str, Collection[str]]
#: A plugin that has not been imported, and what imports it (raises PluginLoadError).
Found = tuple[Source, Callable[[], Any]]


def find_distributions(wanted: Callable[[str], bool]) -> Iterator[Found]:
    """Find the wanted installed plugins, by distribution and name."""
    found = [(_distribution(point), point) for point in entry_points(group=ENTRY_POINTS)]
    for distribution, point in sorted(found, key=lambda pair: (pair[0], pair[1].name)):
        if wanted(distribution):
            version = point.dist.version if point.dist else "0"
            source = Source(distribution, version, point.value, source_digest(point.module))
            yield source, partial(_import, point, source)


def find_files(folder: Path | None, wanted: Callable[[str], bool], pins: Pins) -> Iterator[Found]:
    """Find the wanted files of the plugins folder, by name.

    Raises:
        ConfigurationError: ``folder`` is no readable folder.
        PluginVersionError: a file is not the one pinned.
    """
    if folder is None:
        return
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".py" and path.name[0] not in "._")
    except OSError as exc:
        raise ConfigurationError(f"plugins folder {str(folder)!r} cannot be read: {exc.strerror}") from None
    for path in paths:
        distribution = FILE_PREFIX + path.name
        if not wanted(distribution):
            continue
        try:
            code = path.read_bytes()
        except OSError as exc:
            yield Source(distribution, "0", str(path)), partial(_unreadable, path, exc.strerror or "unreadable")
            continue
        digest = hashlib.sha256(code).hexdigest()
        if distribution in pins and digest not in pins[distribution]:
            raise PluginVersionError(
                f"plugin file {path} is not the one its bundle was made with (SHA-256 "
                f"{', '.join(sorted(pins[distribution]))}); put that {path.name} into the plugins folder"
            )
        yield Source(distribution, digest[:12], str(path), digest), partial(_run_file, path, code, digest)


def why(exc: BaseException) -> str:
    """Return type and message of what a plugin raised, in one line."""
    return f"{type(exc).__name__}: {one_line(exc)}"


def one_line(exc: BaseException) -> str:
    """Return the message of what a plugin raised, in one line."""
    return " ".join(str(exc).split())


def _distribution(point: EntryPoint) -> str:
    return point.name if point.dist is None else canonical(point.dist.name)


def _unreadable(path: Path, why_not: str) -> Any:
    raise PluginLoadError(f"plugin file {path} cannot be read: {why_not}")


def _import(point: EntryPoint, source: Source) -> Any:
    try:
        return point.load()
    except FOREIGN as exc:  # whatever a foreign module does at import
        raise PluginLoadError(f"{titled(source)} cannot be imported: {why(exc)}") from exc


def _run_file(path: Path, code: bytes, digest: str) -> ModuleType:
    """Run the bytes whose digest was taken: reading the file a second time could give others."""
    name = f"sortgate_file_{re.sub(r'[^0-9A-Za-z_]', '_', path.stem)}_{digest[:12]}"
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module  # dataclasses and typing look a class's module up by name
    try:
        exec(compile(code, str(path), "exec"), module.__dict__)  # noqa: S102 - running it is what a plugin file is for
    except FOREIGN as exc:
        del sys.modules[name]
        raise PluginLoadError(f"plugin file {path} cannot be imported: {why(exc)}") from exc
    return module

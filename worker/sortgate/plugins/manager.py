"""Finds and loads the allowed plugins: built-ins, entry points of group ``sortgate``, a folder of one-file plugins."""

from __future__ import annotations

import difflib
import hashlib
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from sortgate.errors import ConfigurationError, PluginError, PluginLoadError, PluginVersionError
from sortgate.plugins import specs
from sortgate.plugins.components import ComponentRecord, Factory, Kind
from sortgate.plugins.registry import BUILTIN, FILE_PREFIX, Registry, Source, canonical

ENTRY_POINTS = "sortgate"

_HOOKS: tuple[tuple[str, Kind], ...] = (
    ("sortgate_register_normalizers", "normalizer"),
    ("sortgate_register_tokenizers", "tokenizer"),
    ("sortgate_register_postprocessors", "postprocessor"),
)

#: Plugin file's name in a record (``file:<name>.py``) to the SHA-256 digests its bundles pin.
Pins = Mapping[str, Collection[str]]


def create_manager() -> pluggy.PluginManager:
    """Make a plugin manager that knows the hooks and holds the built-in components, and nothing else."""
    from sortgate.components import builtin

    manager = pluggy.PluginManager(specs.PROJECT)
    manager.add_hookspecs(specs)
    manager.register(builtin, name=BUILTIN)
    return manager


def create_registry(
    *,
    plugins_dir: Path | None = None,
    allow: Collection[str] | None = None,
    only: Collection[str] | None = None,
    pins: Pins | None = None,
) -> Registry:
    """Load plugins and collect their components.

    Args:
        plugins_dir: folder whose ``*.py`` files are plugins, leaving out names that start with ``_`` or ``.``.
        allow: distributions and plugin files that may be loaded; None allows all.
        only: import nothing but these distributions and plugin files (a worker: those its bundles name).
        pins: digests that a plugin file must have to be run at all; files that are not mentioned are not checked.

    Raises:
        ConfigurationError: ``plugins_dir`` is no readable folder.
        PluginLoadError: importing a plugin or calling one of its hooks failed; names both.
        PluginVersionError: a plugin file is not the one pinned; it has not been run.
        DuplicateComponentError: two distributions registered one name.
    """
    registry = Registry(allow)
    chosen = None if only is None else frozenset(map(canonical, only))

    def wanted(distribution: str) -> bool:
        name = canonical(distribution)
        return (registry.allow is None or name in registry.allow) and (chosen is None or name in chosen)

    manager = create_manager()
    from sortgate import __version__

    sources = {BUILTIN: Source(BUILTIN, __version__, "sortgate.components.builtin")}
    for plugin, source in (*_load_distributions(wanted), *_load_files(plugins_dir, wanted, pins or {})):
        key = f"{source.distribution}:{source.origin}"
        sources[key] = source
        _register(manager, plugin, key, source)
    for key, source in sources.items():
        _collect(manager, key, source, registry)
    return registry


def create_registry_for(
    records: Iterable[ComponentRecord],
    *,
    plugins_dir: Path | None = None,
    allow: Collection[str] | None = None,
) -> Registry:
    """Load just what these records of manifests need, and what ``allow`` lists: the registry of a worker.

    A plugin file whose digest no record pins is refused before it is run.
    """
    needed: set[str] = set()
    pins: dict[str, set[str]] = {}
    for record in records:
        needed.add(record.distribution)
        if record.digest is not None:
            pins.setdefault(canonical(record.distribution), set()).add(record.digest)
    return create_registry(plugins_dir=plugins_dir, allow=allow, only=needed | set(allow or ()), pins=pins)


def _load_distributions(wanted: Callable[[str], bool]) -> Iterator[tuple[Any, Source]]:
    found = [(point, _source(point)) for point in entry_points(group=ENTRY_POINTS)]
    for point, source in sorted(found, key=lambda pair: (pair[1].distribution, pair[0].name)):
        if not wanted(source.distribution):
            continue
        try:
            yield point.load(), source
        except (Exception, SystemExit) as exc:  # whatever a foreign module does at import
            raise PluginLoadError(f"plugin {source} cannot be imported: {_why(exc)}") from exc


def _source(point: EntryPoint) -> Source:
    if point.dist is None:
        return Source(point.name, "0", point.value)
    return Source(canonical(point.dist.name), point.dist.version, point.value)


def _load_files(folder: Path | None, wanted: Callable[[str], bool], pins: Pins) -> Iterator[tuple[ModuleType, Source]]:
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
            raise PluginLoadError(f"plugin file {path} cannot be read: {exc.strerror}") from None
        digest = hashlib.sha256(code).hexdigest()
        if distribution in pins and digest not in pins[distribution]:
            raise PluginVersionError(
                f"plugin file {path} is not the one its bundle was made with (SHA-256 "
                f"{', '.join(sorted(pins[distribution]))}); put that {path.name} into the plugins folder"
            )
        source = Source(distribution, digest[:12], str(path), digest)
        yield _run_file(path, code, digest), source


def _run_file(path: Path, code: bytes, digest: str) -> ModuleType:
    """Run the bytes whose digest was taken: reading the file a second time could give others."""
    name = f"sortgate_file_{re.sub(r'[^0-9A-Za-z_]', '_', path.stem)}_{digest[:12]}"
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module  # dataclasses and typing look a class's module up by name
    try:
        exec(compile(code, str(path), "exec"), module.__dict__)  # noqa: S102 - running it is what a plugin file is for
    except (Exception, SystemExit) as exc:
        del sys.modules[name]
        raise PluginLoadError(f"plugin file {path} cannot be imported: {_why(exc)}") from exc
    return module


def _register(manager: pluggy.PluginManager, plugin: Any, key: str, source: Source) -> None:
    """Hand a plugin to pluggy; a mistyped hook or argument is an error now, not a component missing later."""
    known = [hook for hook, _ in _HOOKS]
    try:
        manager.register(plugin, name=key)
        manager.check_pending()
    except (pluggy.PluginValidationError, ValueError) as exc:
        message = f"plugin {source} does not fit Sortgate's hooks: {_one_line(exc)}"
        mistyped = re.search(r"unknown hook '(\w+)'", str(exc))
        near = difflib.get_close_matches(mistyped[1], known, n=1) if mistyped else []
        raise PluginLoadError(f"{message}; did you mean {near[0]!r}?" if near else message) from exc
    if not manager.get_hookcallers(plugin):
        raise PluginLoadError(f"plugin {source} implements no hook: mark one of {', '.join(known)} with @hookimpl")


def _collect(manager: pluggy.PluginManager, key: str, source: Source, registry: Registry) -> None:
    """Call one plugin's hooks through pluggy, so that each component is known to be its."""
    others = [plugin for name, plugin in manager.list_name_plugin() if name != key]
    for hook, kind in _HOOKS:
        call = manager.subset_hook_caller(hook, remove_plugins=others)
        try:
            call(register=_Registrar(registry, kind, source))
        except PluginError:
            raise
        except Exception as exc:
            raise PluginLoadError(f"plugin {source} failed in {hook}: {_why(exc)}") from exc


class _Registrar:
    """The ``register`` argument of a hook, bound to one plugin."""

    def __init__(self, registry: Registry, kind: Kind, source: Source) -> None:
        self._registry, self._kind, self._source = registry, kind, source

    def __call__(self, name: str, factory: Factory) -> None:
        self._registry.add(self._kind, name, factory, self._source)

    def filter(self, name: str, factory: Factory) -> None:
        if self._kind != "tokenizer":
            raise PluginLoadError(f"{self._source}: filters are registered in sortgate_register_tokenizers")
        self._registry.add("filter", name, factory, self._source)


def _why(exc: BaseException) -> str:
    return f"{type(exc).__name__}: {_one_line(exc)}"


def _one_line(exc: BaseException) -> str:
    return " ".join(str(exc).split())

"""Loads the allowed plugins, built-ins first, and collects what they register."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pluggy

from sortgate.errors import FOREIGN, DuplicateComponentError, PluginError, PluginLoadError
from sortgate.plugins import specs
from sortgate.plugins.components import ComponentRecord, Factory, Kind
from sortgate.plugins.found import Pins, find_distributions, find_files, one_line, why
from sortgate.plugins.observers import OBSERVER_HOOKS, Observers
from sortgate.plugins.registry import BUILTIN, Broken, Registry, Source, canonical
from sortgate.plugins.source import titled

Hooks = Mapping[str, Callable[[Registry, Source], Callable[..., None]]]
#: Hook, and what its ``register`` argument does for a plugin.
_HOOKS: Hooks = {
    "sortgate_register_normalizers": lambda registry, source: _Registrar(registry, "normalizer", source),
    "sortgate_register_tokenizers": lambda registry, source: _Registrar(registry, "tokenizer", source),
    "sortgate_register_postprocessors": lambda registry, source: _Registrar(registry, "postprocessor", source),
    "sortgate_register_commands": lambda registry, source: partial(registry.extras.add_command, source),
    "sortgate_register_readers": lambda registry, source: partial(registry.extras.add_reader, source),
}
#: What serves nobody but people at a terminal.
_NOT_FOR_SERVING = ("sortgate_register_commands", "sortgate_register_readers")


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
    block: Collection[str] = (),
    strict: bool = False,
    only: Collection[str] | None = None,
) -> Registry:
    """Load plugins and collect their components.

    A plugin that cannot be loaded is an error when ``only`` names it. Otherwise it stands in :attr:`Registry.broken`,
    and nothing that does without it is stopped.

    Args:
        plugins_dir: folder whose ``*.py`` files are plugins, leaving out names that start with ``_`` or ``.``.
        allow: distributions and plugin files that may be loaded; None allows all.
        block: those that may not, whatever allows them.
        strict: a bundle's plugins must have the very source that it was made with.
        only: import nothing but these distributions and plugin files.

    Raises:
        ConfigurationError: ``plugins_dir`` is no readable folder.
        PluginLoadError: importing a plugin or calling one of its hooks failed; names both.
        DuplicateComponentError: two distributions registered one name, and ``only`` names one of them.
    """
    registry = Registry(allow, block, strict=strict)
    named = None if only is None else frozenset(map(canonical, only))
    _load(registry, plugins_dir, named, named or (), {}, _HOOKS)
    return registry


def create_registry_for(
    records: Iterable[ComponentRecord],
    *,
    plugins_dir: Path | None = None,
    allow: Collection[str] | None = None,
    block: Collection[str] = (),
    strict: bool = False,
) -> Registry:
    """Load just what these records of manifests need, and what ``allow`` lists: the registry of a worker.

    Commands and readers are not asked for: what they need may not be there.

    Raises:
        PluginVersionError: a plugin file's digest is not the one that its records pin; it has not been run.
        PluginLoadError: a plugin that a record needs cannot be loaded; others stand in :attr:`Registry.broken`.
        ConfigurationError, DuplicateComponentError: as :func:`create_registry`.
    """
    registry = Registry(allow, block, strict=strict)
    needed: set[str] = set()
    pins: dict[str, set[str]] = {}
    for record in records:
        distribution = canonical(record.distribution)
        needed.add(distribution)
        if record.digest is not None:
            pins.setdefault(distribution, set()).add(record.digest)
    hooks = {name: registrar for name, registrar in _HOOKS.items() if name not in _NOT_FOR_SERVING}
    _load(registry, plugins_dir, needed | (registry.allow or set()), needed, pins, hooks)
    return registry


def _load(
    registry: Registry,
    folder: Path | None,
    chosen: Collection[str] | None,
    needed: Collection[str],
    pins: Pins,
    hooks: Hooks,
) -> None:
    """Load the chosen plugins (None: all that may be) into the registry; a failure of one that is needed is raised."""
    seen: set[str] = set()

    def wanted(distribution: str) -> bool:
        name = canonical(distribution)
        seen.add(name)
        return registry.allows(name) and (chosen is None or name in chosen)

    from sortgate import __version__

    manager = create_manager()
    registry.observers = Observers(manager)
    _collect(manager, BUILTIN, Source(BUILTIN, __version__, "sortgate.components.builtin"), registry, hooks)
    for source, load in (*find_distributions(wanted), *find_files(folder, wanted, pins)):
        key = f"{source.distribution}:{source.origin}"
        try:
            registry.sources[key] = source
            _register(manager, load(), key, source)
            _collect(manager, key, source, registry, hooks)
        except PluginError as error:
            claimants = error.distributions if isinstance(error, DuplicateComponentError) else (source.distribution,)
            if any(claimant in needed for claimant in claimants):
                raise
            if manager.has_plugin(key):
                manager.unregister(name=key)
            registry.drop(source)
            registry.broken.append(Broken(source, error))
    for broken in registry.broken:  # only now: a third plugin must clash with the first, too
        if isinstance(broken.error, DuplicateComponentError):
            registry.take_out(broken.error.name)
    registry.unmatched = sorted(((registry.allow or frozenset()) | registry.block) - seen - {BUILTIN})


def _register(manager: pluggy.PluginManager, plugin: Any, key: str, source: Source) -> None:
    """Hand a plugin to pluggy; a mistyped hook or argument is an error now, not a component missing later."""
    known = [*_HOOKS, *OBSERVER_HOOKS]
    try:
        manager.register(plugin, name=key)
        manager.check_pending()
    except (pluggy.PluginValidationError, ValueError) as exc:
        message = f"{titled(source)} does not fit Sortgate's hooks: {one_line(exc)}"
        mistyped = re.search(r"unknown hook '(\w+)'", str(exc))
        near = difflib.get_close_matches(mistyped[1], known, n=1) if mistyped else []
        raise PluginLoadError(f"{message}; did you mean {near[0]!r}?" if near else message) from exc
    if not manager.get_hookcallers(plugin):
        raise PluginLoadError(f"{titled(source)} implements no hook: mark one of {', '.join(known)} with @hookimpl")


def _collect(manager: pluggy.PluginManager, key: str, source: Source, registry: Registry, hooks: Hooks) -> None:
    """Call one plugin's hooks through pluggy, so that each component is known to be its."""
    others = [plugin for name, plugin in manager.list_name_plugin() if name != key]
    for hook, registrar in hooks.items():
        call: Callable[..., Any] = manager.subset_hook_caller(hook, remove_plugins=others)
        try:
            call(register=registrar(registry, source))
        except PluginError:
            raise
        except FOREIGN as exc:
            raise PluginLoadError(f"{titled(source)} failed in {hook}: {why(exc)}") from exc


class _Registrar:
    """The ``register`` argument of a hook, bound to one plugin."""

    def __init__(self, registry: Registry, kind: Kind, source: Source) -> None:
        self._registry, self._kind, self._source = registry, kind, source

    def __call__(self, name: str, factory: Factory, compatible: str | None = None) -> None:
        self._registry.add(self._kind, name, factory, self._source, compatible)

    def filter(self, name: str, factory: Factory, compatible: str | None = None) -> None:
        if self._kind != "tokenizer":
            raise PluginLoadError(f"{self._source}: filters are registered in sortgate_register_tokenizers")
        self._registry.add("filter", name, factory, self._source, compatible)

"""Every component by name: who registered it, how it is made, recorded in a manifest and restored from one."""

from __future__ import annotations

import difflib
import inspect
import logging
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import msgspec

from sortgate.errors import (
    FOREIGN,
    ComponentParamsError,
    DuplicateComponentError,
    PluginError,
    PluginLoadError,
    PluginNotAllowedError,
    PluginVersionError,
    SortgateError,
    UnknownComponentError,
)
from sortgate.plugins.compatibility import accepts, check_specifier
from sortgate.plugins.components import (
    ComponentRecord,
    ComponentSpec,
    Factory,
    Kind,
    RegisteredComponent,
    keeps_state,
)
from sortgate.plugins.extras import Extras
from sortgate.plugins.observers import Observers
from sortgate.plugins.source import BUILTIN, FILE_PREFIX, Source, canonical

__all__ = ["BUILTIN", "FILE_PREFIX", "Broken", "Registry", "Source", "canonical"]

logger = logging.getLogger(__name__)

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*(\.[a-z0-9][a-z0-9_-]*)+\.v[0-9]+")


@dataclass(frozen=True)
class Broken:
    """A plugin that could not be loaded, and why."""

    source: Source
    error: PluginError


@dataclass(frozen=True)
class _Entry:
    kind: Kind
    name: str
    factory: Factory
    source: Source
    compatible: str | None = None


class Registry:
    """The components one process knows. Made by :func:`sortgate.plugins.create_registry`.

    Attributes:
        allow: plugins that may be loaded, None for all.
        block: plugins that may not.
        strict: a bundle's plugins must have the very source that it was made with.
        broken: plugins that could not be loaded, and that nobody has needed so far.
        unmatched: names on both lists that are no plugin's here.
        sources: where plugins come from, by the names that the observers have for them.
        extras: commands and readers.
        observers: who wants to be told what happens.
    """

    def __init__(
        self, allow: Collection[str] | None = None, block: Collection[str] = (), *, strict: bool = False
    ) -> None:
        self.allow = None if allow is None else frozenset(map(canonical, allow))
        self.block = frozenset(map(canonical, block))
        self.strict = strict
        self.broken: list[Broken] = []
        self.unmatched: list[str] = []
        self.sources: dict[str, Source] = {}
        self.extras = Extras()
        self.observers = Observers()
        self._entries: dict[str, _Entry] = {}

    def allows(self, distribution: str) -> bool:
        """Return whether a plugin may be loaded; what is built in always is."""
        name = canonical(distribution)
        return name == BUILTIN or (name not in self.block and (self.allow is None or name in self.allow))

    def add(self, kind: Kind, name: str, factory: Factory, source: Source, compatible: str | None = None) -> None:
        """Register a component; plugins do it through the hooks.

        Raises:
            DuplicateComponentError: the name is taken; names both distributions.
            PluginLoadError: the name is malformed, or claims to be built in; ``factory`` cannot be called; or
                ``compatible`` is no version specifier.
        """
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise PluginLoadError(f"{source} registers {name!r}: component names read owner.thing.v1, in lower case")
        if name.startswith(f"{BUILTIN}.") and source.distribution != BUILTIN:
            raise PluginLoadError(f"{source} registers {name!r}: names that start with 'sortgate.' are built in")
        if not callable(factory):
            raise PluginLoadError(f"{source} registers {name!r} with a factory that cannot be called")
        if name in self._entries:
            raise DuplicateComponentError(
                f"component {name!r} is registered twice: by {self._entries[name].source} and by {source}; remove one",
                name,
                (self._entries[name].source.distribution, source.distribution),
            )
        if problem := check_specifier(compatible):
            raise PluginLoadError(f"{source} registers {name!r} as compatible with {problem}")
        self._entries[name] = _Entry(kind, name, factory, source, compatible)

    def take_out(self, name: str) -> None:
        """Forget what stands under a name, since several plugins claim it: which is meant cannot be told."""
        self._entries.pop(name, None)
        self.extras.take_out(name)

    def drop(self, source: Source) -> None:
        """Forget what a plugin has registered."""
        self._entries = {name: entry for name, entry in self._entries.items() if entry.source != source}
        self.extras.drop(source)

    def components(self) -> list[RegisteredComponent]:
        """List what is registered, by kind and name."""
        return [_describe(entry) for entry in sorted(self._entries.values(), key=lambda e: (e.kind, e.name))]

    def others(self) -> list[tuple[str, str, Source]]:
        """List what is registered beside components: command, reader or observer, its name, and the plugin."""
        found = [("command", name, source) for name, (_, source) in self.extras.commands.items()]
        found += [("reader", name, source) for name, (_, source) in self.extras.readers.items()]
        found += [("observer", hook, self.sources[key]) for hook, key in self.observers.listed() if key in self.sources]
        return sorted(found, key=lambda each: (each[0], each[1], each[2].distribution))

    def describe(self, name: str) -> RegisteredComponent:
        """Return one component of the list; raises UnknownComponentError."""
        if name not in self._entries:
            choices = _choices(name, sorted(self._entries))
            raise UnknownComponentError(f"unknown component {name!r}{choices}{self._unloaded()}")
        return _describe(self._entries[name])

    def create(self, kind: Kind, spec: ComponentSpec) -> Any:
        """Make a component from a configuration.

        Raises:
            UnknownComponentError: nobody registered that name as ``kind``; lists what exists.
            ComponentParamsError: the factory refused the parameters.
        """
        return _make(self._find(kind, spec.name), spec.params)

    def record(self, kind: Kind, spec: ComponentSpec, state: str | None = None) -> ComponentRecord:
        """Return what a manifest says of the component; ``state`` is the bundle's file with its learned state."""
        source = self._find(kind, spec.name).source
        return ComponentRecord(
            spec.name, dict(spec.params), source.distribution, source.version, state=state, digest=source.digest
        )

    def restore(self, kind: Kind, record: ComponentRecord, state: bytes | None = None) -> Any:
        """Make the component a manifest recorded, with its learned state.

        Raises:
            PluginNotAllowedError: the allow-list leaves its distribution out, or the block-list names it.
            PluginLoadError: its plugin is here, and cannot be loaded.
            UnknownComponentError: not registered here; says what to install, with the recorded version.
            PluginVersionError: here, but of a version that it does not call compatible (a file, and with ``strict``
                anything: of another source).
            ComponentParamsError: the factory refused the recorded parameters.
            PluginError: the learned state is missing, superfluous or unreadable.
        """
        self._check_allowed(record)
        for broken in self.broken:
            if canonical(broken.source.distribution) == canonical(record.distribution):
                raise broken.error
        entry = self._find(kind, record.name, record)
        self._check_version(entry, record)
        component = _make(entry, record.params)
        if keeps_state(component) != (state is not None):
            lack = "needs its learned state, and the bundle has none" if state is None else "takes no learned state"
            raise PluginError(f"component {record.name!r} {lack}")
        if state is not None:
            try:
                component.restore(state)
            except SortgateError:
                raise
            except FOREIGN as exc:
                raise PluginError(
                    f"component {record.name!r} cannot read its learned state: {type(exc).__name__}"
                ) from exc
        return component

    def origin(self, name: str) -> Source | None:
        """Return which plugin registered a component."""
        entry = self._entries.get(name)
        return None if entry is None else entry.source

    def _check_allowed(self, record: ComponentRecord) -> None:
        if self.allows(record.distribution):
            return
        if canonical(record.distribution) in self.block:
            what = "SORTGATE_PLUGINS_BLOCKED names; take it out there to allow that plugin"
        else:
            what = f"SORTGATE_PLUGINS does not list; add {record.distribution} to it to allow that plugin"
        raise PluginNotAllowedError(f"component {record.name!r} comes from {record.distribution}, which {what}")

    def _check_version(self, entry: _Entry, record: ComponentRecord) -> None:
        source = entry.source
        if canonical(source.distribution) != canonical(record.distribution):
            raise UnknownComponentError(
                f"component {record.name!r} is registered here by {source}, but the bundle was made with "
                f"{record.distribution}; {_install(record)}"
            )
        if source.distribution == BUILTIN:
            return
        same = source.digest is not None and source.digest == record.digest
        if source.distribution.startswith(FILE_PREFIX):
            if not same:
                raise PluginVersionError(
                    f"component {record.name!r}: {source} is not the file the bundle was made with "
                    f"(SHA-256 {record.digest or 'not recorded'}); {_install(record)}"
                )
            return
        if self.strict and not same:
            raise PluginVersionError(
                f"component {record.name!r}: the source of {source} here (SHA-256 {source.digest or 'unknown'}) is not "
                f"the one the bundle was made with ({record.distribution} {record.version}, SHA-256 "
                f"{record.digest or 'not recorded'}), and the same is demanded; {_install(record, again=True)}, or "
                "export the bundle again"
            )
        if source.version != record.version:
            if not accepts(entry.compatible, record.version):
                compatible = f" (it takes bundles of {entry.compatible})" if entry.compatible else ""
                raise PluginVersionError(
                    f"component {record.name!r}: the bundle was made with {record.distribution} {record.version}, "
                    f"installed is {source.version}{compatible}; {_install(record)}"
                )
        elif record.digest is not None and not same:
            logger.warning(
                "component %s: the source of %s is not the one the bundle was made with, though the version is; the "
                "golden texts decide (SORTGATE_PLUGINS_STRICT=1 refuses it)",
                record.name,
                source,
            )

    def _unloaded(self) -> str:
        """Return why plugins are missing that might have registered what nobody has."""
        return "".join(f"; {broken.error}" for broken in self.broken)

    def _find(self, kind: Kind, name: str, record: ComponentRecord | None = None) -> _Entry:
        entry = self._entries.get(name)
        if entry is not None and entry.kind == kind:
            return entry
        if entry is not None:
            raise UnknownComponentError(f"component {name!r} is a {entry.kind}, not a {kind}")
        if record is not None:  # what else there is does not help: it is that one or none
            raise UnknownComponentError(
                f"unknown {kind} {name!r}; the bundle was made with {record.distribution} {record.version}: "
                f"{_install(record)}{self._unloaded()}"
            )
        known = sorted(other.name for other in self._entries.values() if other.kind == kind)
        raise UnknownComponentError(f"unknown {kind} {name!r}{_choices(name, known)}{self._unloaded()}")


def _choices(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return (f"; did you mean {near[0]!r}?" if near else "") + f"; there are: {', '.join(known) or 'none'}"


def _install(record: ComponentRecord, *, again: bool = False) -> str:
    if record.distribution.startswith(FILE_PREFIX):
        return f"put that {record.distribution.removeprefix(FILE_PREFIX)} into the plugins folder"
    return f"pip install {'--force-reinstall --no-deps ' if again else ''}{record.distribution}=={record.version}"


def _make(entry: _Entry, params: dict[str, Any]) -> Any:
    try:
        msgspec.json.encode(params)
        inspect.signature(entry.factory).bind(**params)
    except ValueError:  # a factory without a signature: its own call is the check
        pass
    except (TypeError, OverflowError, msgspec.MsgspecError) as exc:
        accepted = ", ".join(_parameters(entry.factory)) or "no parameters"
        raise ComponentParamsError(f"component {entry.name!r}: {exc}; it takes: {accepted}") from None
    try:
        component = entry.factory(**params)
    except SortgateError:
        raise
    except (TypeError, ValueError) as exc:
        raise ComponentParamsError(f"component {entry.name!r} refuses its parameters: {exc}") from exc
    except FOREIGN as exc:
        raise PluginLoadError(
            f"component {entry.name!r} of {entry.source} cannot be made: {type(exc).__name__}: {exc}"
        ) from exc
    if not callable(component):
        raise PluginLoadError(f"component {entry.name!r} of {entry.source}: what its factory returns cannot be called")
    return component


def _parameters(factory: Factory) -> dict[str, str]:
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {p.name: "required" if p.default is p.empty else repr(p.default) for p in parameters}


def _describe(entry: _Entry) -> RegisteredComponent:
    documentation = inspect.getdoc(entry.factory) or ""
    source = entry.source
    return RegisteredComponent(
        entry.kind,
        entry.name,
        source.distribution,
        source.version,
        source.origin,
        documentation.partition("\n")[0],
        _parameters(entry.factory),
        documentation,
        source.digest,
        entry.compatible,
    )

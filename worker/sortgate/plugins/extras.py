"""What plugins register beside components: commands of the command line, and readers of data files."""

from __future__ import annotations

import re
from typing import Any

from sortgate.errors import DuplicateComponentError, PluginLoadError
from sortgate.plugins.source import Source

_SUFFIX = re.compile(r"\.[a-z0-9]{1,16}")


class Extras:
    """Commands by name and readers by suffix, each with the plugin that registered it."""

    def __init__(self) -> None:
        self.commands: dict[str, tuple[Any, Source]] = {}
        self.readers: dict[str, tuple[Any, Source]] = {}

    def add_command(self, source: Source, command: Any) -> None:
        """Register a click command; plugins do it through the hook.

        Raises:
            PluginLoadError: it is none, or has no name.
            DuplicateComponentError: another plugin has registered one of that name.
        """
        name = getattr(command, "name", None)
        if not callable(command) or not isinstance(name, str) or not name:
            raise PluginLoadError(f"{source} registers a command that is no click command with a name")
        self._add(self.commands, "command", name, command, source)

    def add_reader(self, source: Source, suffix: str, reader: Any) -> None:
        """Register a reader of data files; plugins do it through the hook.

        Raises:
            PluginLoadError: the suffix is malformed, or ``reader`` cannot be called.
            DuplicateComponentError: another plugin has registered one for that suffix.
        """
        if not isinstance(suffix, str) or not _SUFFIX.fullmatch(suffix):
            raise PluginLoadError(f"{source} registers a reader for {suffix!r}: write the suffix as in .xlsx")
        if not callable(reader):
            raise PluginLoadError(f"{source} registers a reader for {suffix} that cannot be called")
        self._add(self.readers, "reader for", suffix, reader, source)

    def drop(self, source: Source) -> None:
        """Forget what a plugin has registered."""
        for known in (self.commands, self.readers):
            for name in [name for name, (_, of) in known.items() if of == source]:
                del known[name]

    def take_out(self, name: str) -> None:
        """Forget the command or reader of that name."""
        self.commands.pop(name, None)
        self.readers.pop(name, None)

    @staticmethod
    def _add(known: dict[str, tuple[Any, Source]], what: str, name: str, made: Any, source: Source) -> None:
        if name in known:
            raise DuplicateComponentError(
                f"{what} {name!r} is registered twice: by {known[name][1]} and by {source}; remove one",
                name,
                (known[name][1].distribution, source.distribution),
            )
        known[name] = made, source

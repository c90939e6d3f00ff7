"""Which plugin is checked: an installed distribution, or a file of a plugins folder."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from sortgate.errors import ConfigurationError
from sortgate.plugins import RegisteredComponent, Registry, create_registry
from sortgate.plugins.source import BUILTIN, canonical


@dataclass(frozen=True)
class Target:
    """A plugin, as ``create_registry`` finds it.

    Attributes:
        plugin: distribution, or file name.
        plugins_dir: folder of the file; None for a distribution.
    """

    plugin: str
    plugins_dir: Path | None = None

    @classmethod
    def of(cls, plugin: str | Path) -> Target:
        """Return the target that a distribution's name, or a file's path, means.

        Raises:
            ConfigurationError: there is no such file or installed plugin.
        """
        if isinstance(plugin, str) and not plugin.endswith(".py"):
            installed = {canonical(point.dist.name) for point in entry_points(group=BUILTIN) if point.dist}
            if canonical(plugin) not in {*installed, BUILTIN}:
                raise ConfigurationError(
                    f"no plugin {plugin!r} is installed: pip install it (-e for your own folder), or name a file's path"
                )
            return cls(canonical(plugin))
        path = Path(plugin).absolute()
        if not path.is_file() or path.suffix != ".py" or path.name[0] in "._":
            raise ConfigurationError(f"{path} is no plugin file: name a *.py file that does not start with '_' or '.'")
        return cls(path.name, path.parent)

    def load(self) -> Registry:
        """Load the plugin, and no other.

        Raises:
            PluginError: it cannot be loaded.
        """
        return create_registry(plugins_dir=self.plugins_dir, only=() if self.plugin == BUILTIN else (self.plugin,))

    def components(self, registry: Registry) -> list[RegisteredComponent]:
        """Return the components that are the plugin's own."""
        return [found for found in registry.components() if found.distribution == canonical(self.plugin)]

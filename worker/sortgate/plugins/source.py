"""Where a plugin comes from, and how its name is written."""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Distribution of the built-in components. Their behaviour is versioned in their names alone.
BUILTIN = "sortgate"
FILE_PREFIX = "file:"


@dataclass(frozen=True)
class Source:
    """Where a plugin came from, and the SHA-256 (hex) of its source; None for what is built in."""

    distribution: str
    version: str
    origin: str
    digest: str | None = None

    @property
    def release(self) -> str:
        """Distribution and version."""
        return f"{self.distribution} {self.version}"

    def __str__(self) -> str:
        return f"the plugin file {self.origin}" if self.distribution.startswith(FILE_PREFIX) else self.release


def titled(source: Source) -> str:
    """Return a plugin at the beginning of a sentence."""
    return str(source).removeprefix("the ") if source.distribution.startswith(FILE_PREFIX) else f"plugin {source}"


def canonical(name: str) -> str:
    """Return a distribution's name as PEP 503 compares it; plugin files become ``file:<name>.py``."""
    if name.startswith(FILE_PREFIX):
        return name
    if name.endswith(".py"):
        return FILE_PREFIX + name
    return re.sub(r"[-_.]+", "-", name).lower()

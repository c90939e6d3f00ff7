"""The hooks of Sortgate: a plugin registers components by name here; a bundle's manifest chooses among them."""

from __future__ import annotations

from typing import Protocol

import pluggy

from sortgate.plugins.components import Factory

PROJECT = "sortgate"

hookspec = pluggy.HookspecMarker(PROJECT)
#: Marks a plugin's implementation of a hook.
hookimpl = pluggy.HookimplMarker(PROJECT)


class Register(Protocol):
    """What a hook is handed: ``register(name, factory)``."""

    def __call__(self, name: str, factory: Factory, compatible: str | None = None) -> None:
        """Register ``factory`` under ``name`` (``owner.thing.v1``).

        ``compatible`` names, as a version specifier (PEP 440, ``>=1.2``), the versions of the distribution whose
        bundles this version answers alike; without it, a bundle takes the version that it was made with alone.
        """


class RegisterTokenizers(Register, Protocol):
    """As :class:`Register`; token filters go in through ``register.filter(name, factory)``."""

    def filter(self, name: str, factory: Factory, compatible: str | None = None) -> None:
        """Register a token filter (tokens to tokens)."""


@hookspec
def sortgate_register_normalizers(register: Register) -> None:
    """Register normalizers (text to text) with ``register(name, factory)``; ``factory(**params)`` returns one."""


@hookspec
def sortgate_register_tokenizers(register: RegisterTokenizers) -> None:
    """Register tokenizers (text to tokens) with ``register(name, factory)``, token filters with ``register.filter``."""


@hookspec
def sortgate_register_postprocessors(register: Register) -> None:
    """Register label post-processors (prediction to prediction) with ``register(name, factory)``."""

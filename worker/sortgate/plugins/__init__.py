"""Plugin API: the hooks, the protocols of components, and the registry that a bundle's manifest chooses from."""

from __future__ import annotations

from sortgate.plugins.components import (
    KINDS,
    ComponentRecord,
    ComponentSpec,
    Kind,
    Learned,
    LearnedFromLabels,
    Normalizer,
    Postprocessor,
    RegisteredComponent,
    TokenFilter,
    Tokenizer,
)
from sortgate.plugins.manager import create_manager, create_registry, create_registry_for
from sortgate.plugins.registry import Registry
from sortgate.plugins.specs import PROJECT, Register, RegisterTokenizers, hookimpl

__all__ = [
    "KINDS",
    "PROJECT",
    "ComponentRecord",
    "ComponentSpec",
    "Kind",
    "Learned",
    "LearnedFromLabels",
    "Normalizer",
    "Postprocessor",
    "Register",
    "RegisterTokenizers",
    "RegisteredComponent",
    "Registry",
    "TokenFilter",
    "Tokenizer",
    "create_manager",
    "create_registry",
    "create_registry_for",
    "hookimpl",
]

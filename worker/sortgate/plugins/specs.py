"""The hooks of Sortgate: a plugin registers components by name here; a bundle's manifest chooses among them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pluggy

from sortgate.plugins.components import Factory
from sortgate.plugins.events import BatchDone, EpochEnd, TextFailed

if TYPE_CHECKING:
    import click

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


#: Reads a data file: its rows, each a mapping from column to value (a string, a number, or a list of labels).
RowReader = Callable[[Path], Iterable[Mapping[str, Any]]]


class RegisterCommand(Protocol):
    """What the hook for commands is handed."""

    def __call__(self, command: click.Command) -> None:
        """Register a command under its own name."""


class RegisterReader(Protocol):
    """What the hook for readers is handed."""

    def __call__(self, suffix: str, reader: RowReader) -> None:
        """Register what reads files whose names end in ``suffix`` (``.xlsx``)."""


@hookspec
def sortgate_register_commands(register: RegisterCommand) -> None:
    """Register commands of the command line, ``sortgate NAME``, with ``register(command)``."""


@hookspec
def sortgate_register_readers(register: RegisterReader) -> None:
    """Register readers of data files to train from with ``register(suffix, reader)``."""


@hookspec
def sortgate_worker_ready(queues: Mapping[str, str]) -> None:
    """A worker has loaded its bundles and begins: queue to model, ``name/version``. An observer, in its own thread."""


@hookspec
def sortgate_batch_done(batch: BatchDone) -> None:
    """A worker has answered a batch. An observer, in its own thread."""


@hookspec
def sortgate_text_failed(failure: TextFailed) -> None:
    """A worker has answered a text with a status other than ``ok``. An observer, in its own thread."""


@hookspec
def sortgate_epoch_end(epoch: EpochEnd) -> None:
    """An epoch of a training is over and judged. An observer, in the training's thread."""


@hookspec
def sortgate_bundle_written(path: Path, labels: Sequence[str], metrics: Mapping[str, Any]) -> None:
    """A training has written a bundle to ``path``, with these figures. An observer, in the training's thread."""

"""Checkpoints: NumPy arrays and JSON in one ``.npz``, written whole or not at all, and read without pickle."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

#: Of the layout; another one is refused.
FORMAT = 2
NAME, PREVIOUS = "checkpoint.npz", "checkpoint.previous.npz"
#: What a cut or altered file raises, wherever the damage is.
_DAMAGE = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error, NotImplementedError)


class Checkpoint(NamedTuple):
    """Numbers and texts, and tensors by name."""

    facts: dict[str, Any]
    tensors: dict[str, torch.Tensor]


def write_arrays(path: Path, facts: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Write ``path``: a kill or a full disk leaves the file that was there, or none.

    Raises:
        OSError: it cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    text = np.frombuffer(json.dumps({"format": FORMAT, **facts}).encode(), dtype=np.uint8)
    try:
        with part.open("wb") as file:
            np.savez(file, allow_pickle=False, **{"facts": text, **arrays})
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)  # a full disk is needed for the bundle
        raise
    _sync_folder(path.parent)


def read_arrays(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return facts and arrays.

    Raises:
        ValueError: the file is absent or damaged.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}  # each with its checksum verified
        facts = json.loads(arrays.pop("facts").tobytes())
    except _DAMAGE as error:
        raise ValueError(f"{path.name} is damaged ({type(error).__name__})") from None
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise ValueError(f"{path.name} has another format than {FORMAT}")
    return facts, arrays


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write the folder's checkpoint and keep the one before.

    Raises:
        OSError: it cannot be written; the one before is still there.
    """
    arrays = {name: tensor.detach().cpu().numpy() for name, tensor in checkpoint.tensors.items()}
    fresh = folder / f"{NAME}.fresh"
    write_arrays(fresh, checkpoint.facts, arrays)
    if (folder / NAME).exists():
        (folder / NAME).replace(folder / PREVIOUS)
    fresh.replace(folder / NAME)
    _sync_folder(folder)


def load(folder: Path, say: Callable[[str], None]) -> Checkpoint | None:
    """Return the newest checkpoint that is whole, None when there is none."""
    for name in (NAME, PREVIOUS):
        if not (folder / name).exists():
            continue
        try:
            facts, arrays = read_arrays(folder / name)
        except ValueError as error:
            say(f"{folder}: {error}: {'going on from the one before' if name == NAME else 'it cannot be used'}")
            continue
        return Checkpoint(facts, {name: torch.from_numpy(array) for name, array in arrays.items()})
    return None


def _sync_folder(folder: Path) -> None:
    """Make renames last through a power failure, where folders can be synchronised."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

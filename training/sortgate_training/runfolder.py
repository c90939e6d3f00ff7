"""The folder of one run: what it was started with, its log, and, until it ends, its checkpoint.

``run.json`` says with which configuration, data and versions the run was started, how it ended and why; ``train.log``
has one JSON object an epoch; ``checkpoint.npz``, ``ngrams.npz`` and ``teachers.npz`` lie here until a bundle is
written, and those of the second training in the folder ``refit``.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sortgate.errors import ConfigurationError, TrainingError
from sortgate_training import checkpoint
from sortgate_training.config import TrainingConfig
from sortgate_training.pairs import PairTable
from sortgate_training.regression import Penalty
from sortgate_training.split import Parts
from sortgate_training.tables import NgramTables

_NGRAMS, _TAUGHT, _REFIT = "ngrams.npz", "teachers.npz", "refit"
_LIBRARIES = ("sortgate", "sortgate-training", "torch", "numpy", "scipy", "scikit-learn")


class RunFolder:
    """Opened by :meth:`begin`; nothing is written before.

    Whoever makes one has the folder locked (:class:`sortgate_training.folderlock.FolderLock`), or a run that is under
    way there would be taken for an unfinished one.
    """

    def __init__(self, path: Path, say: Callable[[str], None], *, resume: bool = False, fresh: bool = False) -> None:
        self.path = path
        self.resume = resume
        self._say = say
        self._failed = False
        self._identity: dict[str, Any] = {}
        unfinished = any((path / name).exists() for name in (checkpoint.NAME, checkpoint.PREVIOUS))
        if resume and not unfinished:
            raise ConfigurationError(f"--resume: there is no unfinished run in {path}")
        if unfinished and not resume and not fresh:
            raise ConfigurationError(
                f"an unfinished run lies in {path}: the same command with --resume goes on with it, "
                "with --fresh it is given up and training starts anew"
            )

    def check(self, identity: Mapping[str, Any]) -> checkpoint.Checkpoint | None:
        """Return the checkpoint to go on from, None for a new run.

        Args:
            identity: from :func:`identify`.

        Raises:
            TrainingError: the run was started with something else, or no checkpoint is whole.
        """
        self._identity = dict(identity)
        if not self.resume:
            return None
        try:
            started = json.loads((self.path / "run.json").read_text())["identity"]
        except (OSError, ValueError, KeyError, TypeError):
            raise TrainingError(f"{self.path / 'run.json'} cannot be read; --fresh starts anew") from None
        if difference := differing(started, self._identity):
            raise TrainingError(f"--resume: {difference}; --fresh starts anew")
        found = checkpoint.load(self.path, self._say)
        if found is None:
            raise TrainingError(f"{self.path}: no checkpoint is whole; --fresh starts anew")
        return found

    def begin(self) -> None:
        """Make the folder, and clear what an earlier run left.

        Raises:
            TrainingError: it cannot be written to.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if not self.resume:
                self._clear()
                (self.path / "train.log").write_text("")
            self._write("unfinished", "")
        except OSError as error:
            raise TrainingError(f"{self.path}: {error.strerror}") from None

    def save(self, found: checkpoint.Checkpoint) -> None:
        """Write a checkpoint; where that fails, training goes on without."""
        try:
            checkpoint.save(self.path, found)
            self._failed = False
        except OSError as error:
            if not self._failed:
                self._say(f"{self.path}: no checkpoint could be written ({error.strerror}); training goes on")
            self._failed = True

    def log(self, record: Mapping[str, Any]) -> None:
        """Add a line to ``train.log``."""
        try:
            with (self.path / "train.log").open("a") as file:
                file.write(json.dumps(record) + "\n")
        except OSError as error:
            self._say(f"{self.path}: train.log cannot be written ({error.strerror})")

    def end(self, status: str, reason: str, *, keep: bool) -> None:
        """Note how the run ended; without ``keep`` there is nothing to go on with, and checkpoints are removed."""
        if not self.path.is_dir():
            return
        try:
            self._write(status, reason)
            if not keep:
                self._clear()
        except OSError as error:
            self._say(f"{self.path}: {error.strerror}")

    def save_ngrams(self, tables: NgramTables) -> None:
        """Keep the fitted n-gram path, so that a resumed run need not fit it again."""
        try:
            write_tables(self.path / _NGRAMS, tables)
        except OSError as error:
            self._say(f"{self.path}: the n-gram path could not be kept ({error.strerror})")

    def load_ngrams(self) -> NgramTables | None:
        """Return what :meth:`save_ngrams` kept; None when it must be fitted again, which gives the same."""
        return read_tables(self.path / _NGRAMS) if self.resume else None

    def save_taught(self, probabilities: npt.NDArray[np.float32]) -> None:
        """Keep what teachers say of the texts, ``[texts, labels]``."""
        try:
            checkpoint.write_arrays(self.path / _TAUGHT, {}, {"probabilities": probabilities})
        except OSError as error:
            self._say(f"{self.path}: the teachers' answers could not be kept ({error.strerror})")

    def load_taught(self, shape: tuple[int, int]) -> npt.NDArray[np.float32] | None:
        """Return what :meth:`save_taught` kept; None when the teachers must be asked again, who say the same."""
        if not self.resume:
            return None
        try:
            found = checkpoint.read_arrays(self.path / _TAUGHT)[1]["probabilities"]
        except (ValueError, KeyError, TypeError):
            return None
        return found if found.shape == shape and found.dtype == np.float32 else None

    def refit(self) -> tuple[RunFolder, checkpoint.Checkpoint | None]:
        """Return the folder of the second training, begun, and the checkpoint that it goes on from, None for anew."""
        path = self.path / _REFIT
        found = checkpoint.load(path, self._say) if self.resume and path.is_dir() else None
        inner = RunFolder(path, self._say, resume=found is not None, fresh=True)
        inner.begin()
        return inner, found

    def _write(self, status: str, reason: str) -> None:
        part = self.path / "run.json.part"
        text = json.dumps({"status": status, "reason": reason, "identity": self._identity}, indent=1, sort_keys=True)
        part.write_text(text + "\n")
        part.replace(self.path / "run.json")

    def _clear(self) -> None:
        for path in self.path.glob("*.npz*"):
            path.unlink()
        if (inner := self.path / _REFIT).is_dir():
            shutil.rmtree(inner)


def write_tables(path: Path, tables: NgramTables) -> None:
    """Write a fitted n-gram path.

    Raises:
        OSError: it cannot be written.
    """
    arrays = {
        "words": tables.words,
        "pairs": tables.pairs,
        "bias": tables.bias,
        "slots": tables.keys.slots,
        "numbers": tables.keys.numbers,
    }
    checkpoint.write_arrays(path, {"size": tables.keys.size, "penalties": tables.penalties}, arrays)


def read_tables(path: Path) -> NgramTables | None:
    """Return what :func:`write_tables` wrote, None where it is absent or damaged."""
    try:
        facts, found = checkpoint.read_arrays(path)
        keys = PairTable(facts["size"], found["slots"], found["numbers"])
        penalties = tuple(Penalty(*penalty) for penalty in facts["penalties"])
        return NgramTables(found["words"], found["pairs"], keys, found["bias"], penalties)
    except (ValueError, KeyError, TypeError):
        return None


def identify(config: TrainingConfig, parts: Parts, threads: int, **others: Any) -> dict[str, Any]:
    """Return what two runs must share to give the same weights."""
    return {
        "config": config.to_dict(),
        "threads": threads,
        **others,
        "data": {name: _digest(part.texts, part.label_sets) for name, part in parts.items()},
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}},
    }


def _digest(texts: list[str], labels: list[Any]) -> str:
    digest = hashlib.sha256()
    for text, label in zip(texts, labels, strict=True):
        digest.update(repr((text, label)).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def differing(started: Any, now: Any, what: str = "run") -> str | None:
    """Say the first thing in which two identities differ, None when they do not."""
    before, after = dict(_leaves(started)), dict(_leaves(json.loads(json.dumps(now))))
    for key in [*before, *(key for key in after if key not in before)]:
        one, other = before.get(key), after.get(key)
        if one == other:
            continue
        if key.startswith("data."):
            return f"the {key.removeprefix('data.')} texts are not those that the {what} was started with"
        name = key.removeprefix("config.").removeprefix("versions.")
        return f"the {what} was started with {name} {json.dumps(one)}, which is {json.dumps(other)} now"
    return None


def _leaves(tables: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tables, dict) and tables:
        for name, value in tables.items():
            yield from _leaves(value, f"{prefix}.{name}" if prefix else name)
    else:
        yield prefix, tables

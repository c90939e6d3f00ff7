"""The folder of one search: Optuna's journal, each training's answers, and what the search was started with.

Optuna keeps its trials in ``journal.log``, and with them our records: one file, to which whole lines are added. A kill
leaves at most a piece of a line at its end, which goes when the study is opened again. One process at a time works in a
folder, so that a lock of the journal is always one that a kill left behind.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from sortgate.errors import ConfigurationError, TrainingError
from sortgate_training import checkpoint, folderlock
from sortgate_training.folderlock import FolderLock
from sortgate_training.runfolder import differing
from sortgate_training.tuning.answers import Answers
from sortgate_training.tuning.record import Metric, Record, Run
from sortgate_training.tuning.space import Dimension

#: Trials proposed near the start before Optuna's model of the space takes over.
STARTUP = 8
#: Trials that must have come to an epoch before another one is cut there for being in the lower half.
_PRUNING_FROM = 3
_IDENTITY, _JOURNAL, BEST, TABLE = "study.json", "journal.log", "best.toml", "trials.csv"
_NAME = "tune"


class Folder:
    """A study's folder, locked; files in it are made by :meth:`open` and after.

    Raises:
        ConfigurationError: it cannot be one, is another command's, or ``fresh`` would remove what is no study.
    """

    def __init__(self, path: Path, *, fresh: bool = False) -> None:
        self.path = path
        named = f"--study {path}"
        try:
            others = {found.name for found in path.iterdir()} - {folderlock.NAME} if path.is_dir() else set()
            if others and _IDENTITY not in others:
                raise ConfigurationError(f"{named}: this folder is not empty and holds no study; name another")
        except OSError as error:
            raise ConfigurationError(f"{named}: {error.strerror}") from None
        self._lock = FolderLock(path, named, "another `sortgate tune` is at work in this folder", "name another")
        if fresh:
            try:
                self.clear()
            except OSError as error:
                self._lock.release()
                raise ConfigurationError(f"{named}: {error.strerror}") from None

    def clear(self) -> None:
        """Remove all that a study leaves."""
        for pattern in (_IDENTITY, _JOURNAL, f"{_JOURNAL}.lock", BEST, TABLE, "*.npz", "*.part"):
            for found in self.path.glob(pattern):
                found.unlink()

    def close(self) -> None:
        """Let another command have it; one that was made for nothing goes."""
        self._lock.release()

    def check(self, identity: Mapping[str, Any]) -> bool:
        """Return whether a study goes on here; else note what the new one is started with.

        Raises:
            TrainingError: the study was started with something else, or cannot be read.
        """
        file = self.path / _IDENTITY
        plain = json.loads(msgspec.json.encode(identity))
        if not file.exists():
            self.write(_IDENTITY, json.dumps(plain, indent=1) + "\n")
            return False
        try:
            started = json.loads(file.read_text())
        except (OSError, ValueError):
            raise TrainingError(f"{file} cannot be read; --fresh starts anew") from None
        if found := differing(started, plain, "study"):
            raise TrainingError(f"{self.path}: {found}; --study names another folder, --fresh starts this one anew")
        return True

    def write(self, name: str, text: str) -> None:
        """Write a file whole or not at all.

        Raises:
            TrainingError: it cannot be written.
        """
        part = self.path / f"{name}.part"
        try:
            part.write_text(text, encoding="utf-8")
            part.replace(self.path / name)
        except OSError as error:
            raise TrainingError(f"{self.path / name}: {error.strerror}") from None


class Study:
    """Trials and records of a folder.

    Args:
        folder: locked and checked.
        space: what is searched.
        metric: what for.
        seed: of the proposals.
    """

    def __init__(self, folder: Folder, space: list[Dimension], metric: Metric, seed: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.folder, self.space, self.metric = folder, space, metric
        journal = folder.path / _JOURNAL
        journal.with_name(f"{_JOURNAL}.lock").unlink(missing_ok=True)
        _mend(journal)
        try:
            self._study = optuna.create_study(
                storage=JournalStorage(JournalFileBackend(str(journal))),
                study_name=_NAME,
                direction="minimize" if metric == "loss" else "maximize",
                load_if_exists=True,
                pruner=optuna.pruners.MedianPruner(_PRUNING_FROM, n_warmup_steps=0, n_min_trials=_PRUNING_FROM),
            )
        except (ValueError, LookupError, TypeError):  # whatever Optuna's reader stumbles over
            raise TrainingError(f"{journal} cannot be read; --fresh starts anew") from None
        done = len(self._study.get_trials(deepcopy=False))
        # another seed after each interruption, or the same proposals would come again
        self._study.sampler = optuna.samplers.TPESampler(seed=(seed + done) % 2**32, n_startup_trials=STARTUP)
        stored = self._study.user_attrs
        keys = sorted((key for key in stored if key.startswith("record/")), key=lambda key: int(key[7:]))
        self.records = [msgspec.convert(stored[key], Record) for key in keys]
        self._settle()

    def _settle(self) -> None:
        """Give up what an interrupted command left under way, and queue it again unless its record was written."""
        known = {_key(record.numbers) for record in self.records}
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self._study.tell(trial.number, state=TrialState.FAIL)
            if _key(trial.params) not in known:
                self._study.enqueue_trial(trial.params)

    @property
    def waiting(self) -> bool:
        """Whether a trial is queued."""
        return bool(self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,)))

    def ask(self, numbers: Mapping[str, int] | None = None) -> optuna.Trial:
        """Return a trial: the queued one, else these numbers, else what Optuna proposes."""
        if numbers is not None and not self.waiting:
            self._study.enqueue_trial(dict(numbers))
        return self._study.ask(_distributions(self.space))

    def known(self, numbers: Mapping[str, int]) -> bool:
        """Whether this combination has a record."""
        return any(record.numbers == numbers for record in self.records)

    def drop(self, trial: optuna.Trial) -> None:
        """Forget a trial."""
        self._study.tell(trial, state=TrialState.FAIL)

    def requeue(self, trial: optuna.Trial) -> None:
        """Forget a trial that was not finished, and queue it for the next command."""
        self.drop(trial)
        self._study.enqueue_trial(trial.params)

    def finish(self, trial: optuna.Trial, record: Record, answers: Answers | None = None) -> None:
        """Keep a record, and tell Optuna what came out; what is over the budget counts as the worst there is."""
        self.keep(record, answers)
        figure = record.figure(self.metric)
        if figure is not None and record.within:
            self._study.tell(trial, figure)
        else:
            self._study.tell(trial, state=TrialState.PRUNED)

    def keep(self, record: Record, answers: Answers | None = None) -> None:
        """Keep a record, in place of the one with its number, and the answers of its last training.

        Raises:
            TrainingError: they cannot be written.
        """
        try:
            if answers is not None:
                path = self._answers(record.number, record.runs[-1])
                checkpoint.write_arrays(path, {}, {"given": answers.given, "losses": answers.losses})
            self._study.set_user_attr(f"record/{record.number}", msgspec.to_builtins(record))
        except OSError as error:
            raise TrainingError(f"{self.folder.path}: {error.strerror}") from None
        self.records[record.number :] = [record, *self.records[record.number + 1 :]]

    def answers(self, record: Record) -> list[Answers]:
        """Return the answers of each of a record's trainings.

        Raises:
            TrainingError: a file is absent or damaged.
        """
        found = []
        for run in record.runs:
            try:
                _, arrays = checkpoint.read_arrays(self._answers(record.number, run))
                found.append(Answers(arrays["given"], arrays["losses"]))
            except (ValueError, KeyError) as error:
                raise TrainingError(f"{self.folder.path}: {error}; --fresh starts anew") from None
        return found

    def _answers(self, number: int, run: Run) -> Path:
        return self.folder.path / f"answers-{number}-{run.seed}.npz"

    @property
    def spent_s(self) -> float:
        """Seconds of all records."""
        return sum(record.seconds for record in self.records)


def _distributions(space: list[Dimension]) -> dict[str, BaseDistribution]:
    return {
        dimension.key: IntDistribution(0, len(dimension.values) - 1)
        if dimension.ordered
        else CategoricalDistribution(range(len(dimension.values)))
        for dimension in space
    }


def _key(numbers: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(numbers.items()))


def _mend(journal: Path) -> None:
    """Cut off the piece of a line that a kill may have left at the end."""
    if not journal.exists():
        return
    data = journal.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(journal, whole)


def numbers_of(trial: optuna.Trial) -> dict[str, int]:
    """Return the numbers that a trial stands for."""
    return {key: int(value) for key, value in trial.params.items()}

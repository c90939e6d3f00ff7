"""Trains configurations on one split as ``sortgate train`` would, keeping what several of them share."""

from __future__ import annotations

import copy
import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy.typing as npt

from sortgate.plugins import Registry
from sortgate_training.batches import EncodedTexts
from sortgate_training.begin import Prepared, Start, begin, choose_device, prepare
from sortgate_training.config import TrainingConfig
from sortgate_training.encoding import encode_part
from sortgate_training.judging import joined_logits, judge, judge_logits
from sortgate_training.loop import Control, Watcher, fit
from sortgate_training.mixing import FloatArray
from sortgate_training.model import HybridClassifier, NgramPath
from sortgate_training.ngrams import fit_ngrams
from sortgate_training.run import with_metric
from sortgate_training.runfolder import read_tables, write_tables
from sortgate_training.split import Parts
from sortgate_training.tables import NgramTables
from sortgate_training.tuning.answers import Answers, answer
from sortgate_training.tuning.cost import Cost, measure
from sortgate_training.tuning.record import Run

#: Text paths, encoded texts and n-gram paths kept in memory: those last used.
_KEPT = 2


@dataclass(frozen=True)
class Material:
    """What configurations with the same text path, vocabulary and n-gram settings share."""

    prepared: Prepared
    judged: EncodedTexts
    tables: NgramTables | None
    ngram_logits: FloatArray | None


class Trainer:
    """Texts, and how to compute on them.

    Args:
        parts: the split, the same for every configuration; the test part is not looked at.
        registry: components to choose from.
        folder: where fitted n-gram paths are kept.
        say: told what a reader should know.
        threads: of PyTorch; costs are measured with one.
        device: as of :func:`sortgate_training.run.choose_device`.
    """

    def __init__(
        self,
        parts: Parts,
        registry: Registry,
        folder: Path,
        say: Callable[[str], None],
        *,
        threads: int = 1,
        device: str = "cpu",
    ) -> None:
        self._parts, self._registry, self._folder, self._say = parts, registry, folder, say
        self._threads, self._device = threads, choose_device(device)
        self._kept: dict[str, Material] = {}
        self._told: set[str] = set()

    def material(self, config: TrainingConfig) -> Material:
        """Return the fitted text path and the fitted n-gram path, made only once for configurations that share them.

        Raises:
            DataError: no text is left after the text path.
        """
        shared = {"text": config.text, "limits": config.limits, "vocabulary": config.vocabulary}
        name, whole = _digest(shared), _digest({**shared, "ngrams": config.ngrams})
        if whole in self._kept:
            self._kept[whole] = self._kept.pop(whole)  # the last one used
            return self._kept[whole]
        others = [found for key, found in self._kept.items() if key.startswith(name)]
        if others:
            prepared, judged = others[0].prepared, others[0].judged
        else:
            prepared = prepare(self._parts, config, self._registry, self._say_once)
            _, judged = encode_part(prepared.path, self._parts.validation, prepared.labels, self._say_once)
        tables = self._fit(prepared, judged, config, whole) if config.ngrams.enabled else None
        logits = None if tables is None else tables.logits(judged)
        if len(self._kept) >= _KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[whole] = Material(prepared, judged, tables, logits)
        return self._kept[whole]

    def truth(self, config: TrainingConfig) -> tuple[npt.NDArray[Any], int]:
        """Return the targets of the validation texts and the count of labels, which no searched key changes.

        Args:
            config: to read the texts by if none was used before.
        """
        material = next(reversed(self._kept.values()), None) or self.material(config)
        return material.judged.targets, len(material.prepared.labels)

    def _fit(self, prepared: Prepared, judged: EncodedTexts, config: TrainingConfig, name: str) -> NgramTables:
        path = self._folder / f"ngrams-{name}.npz"
        if (kept := read_tables(path)) is not None:
            return kept
        self._say(f"n-gram path: fitting, with vocabulary.min_count={config.vocabulary.min_count}")
        tables = fit_ngrams(prepared.learned, judged, prepared.vocabulary, len(prepared.labels), config.ngrams)
        try:
            write_tables(path, tables)
        except OSError as error:
            self._say_once(
                f"{path}: the n-gram path could not be kept ({error.strerror}); it is fitted again if needed"
            )
        return tables

    def begin(self, config: TrainingConfig, material: Material) -> Start:
        """Return a network that knows nothing."""
        parts, prepared = self._parts, material.prepared
        return begin(parts, config, self._registry, self._device, self._threads, self._say_once, prepared=prepared)

    def cost(self, start: Start, config: TrainingConfig, material: Material) -> Cost:
        """Return what the network costs to serve; it need not have learned anything, and is left as it is."""
        recurrent = copy.deepcopy(start.recurrent).cpu()
        ngrams = None if material.tables is None else NgramPath(material.tables)
        return measure(HybridClassifier(recurrent, ngrams), material.judged, config.precision)

    def train(
        self, start: Start, config: TrainingConfig, material: Material, watch: Callable[[int], Watcher]
    ) -> tuple[Run, Answers]:
        """Train to the end; what the watcher raises comes through.

        Args:
            start: from :meth:`begin`.
            config: with the seed.
            material: of that configuration.
            watch: makes the loop's watcher, given the number of epochs.

        Raises:
            TrainingError: the loss diverged.
            KeyboardInterrupt: stopped before the first epoch was over.
        """
        started, judged = time.monotonic(), material.judged
        history = fit(
            start.recurrent,
            start.batches,
            start.loss,
            lambda trained: judge(trained, judged, material.ngram_logits, start.shift),
            with_metric(config, sets=judged.targets.ndim == 2),
            watch(config.epochs_of(len(start.batches), start.batches.tokens)),
            Control(device=self._device),
        )
        logits = joined_logits(start.recurrent, judged, material.ngram_logits, start.shift)
        seconds = time.monotonic() - started
        run = Run(config.seed, judge_logits(logits, judged.targets, start.shift), len(history.epochs), seconds)
        return run, answer(logits, judged.targets, start.shift)

    def _say_once(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            self._say(sentence)


def _digest(parts: Mapping[str, object]) -> str:
    """Return a short name for each part, so that what begins alike shares its first parts."""
    whole = [hashlib.sha256(msgspec.json.encode({name: part})).hexdigest()[:8] for name, part in parts.items()]
    return "-".join(whole)

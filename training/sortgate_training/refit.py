"""The second training: from training and validation texts together, when the validation texts have decided all.

What is chosen is chosen once: the n-gram path's penalty, the weights of both paths, temperature, cut and precision stay
those of the first training. The n-gram path is fitted anew; the network goes on from where the first training ended,
for a third of the epochs: as good as one that starts anew (docs/experiments.md). On a few thousand texts, another tenth
of them is worth more than most settings.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec
import torch

from sortgate.encoded import Encoded
from sortgate.errors import SortgateError, TrainingError
from sortgate.plugins import Registry
from sortgate_training.begin import begin
from sortgate_training.carrying import Learned
from sortgate_training.checkpoint import Checkpoint
from sortgate_training.config import TrainingConfig
from sortgate_training.data import Corpus
from sortgate_training.export import check_parity, export_graph
from sortgate_training.finish import Fitted
from sortgate_training.interrupt import Stop
from sortgate_training.joining import Factors, join
from sortgate_training.loop import Control, Watcher, fit
from sortgate_training.model import HybridClassifier, RecurrentClassifier
from sortgate_training.ngrams import fit_ngrams
from sortgate_training.precision import again_as
from sortgate_training.regression import Penalty
from sortgate_training.runfolder import RunFolder
from sortgate_training.split import Parts

#: The first training's epochs for each of the second's, and the learning rate as a share of the first's.
EPOCHS, RATE = 3, 0.5
#: Texts that the exported model is compared with PyTorch on.
_COMPARED = 2_000


@dataclass(frozen=True)
class Decided:
    """What the validation texts have decided, beside what a :class:`Fitted` holds.

    Attributes:
        network: of the first training, by itself.
        epochs: after which that was the best.
        penalties: of the fits that led to the n-gram path, none without one.
        factors: of both paths, likewise.
    """

    network: RecurrentClassifier
    epochs: int
    penalties: tuple[Penalty, ...] = ()
    factors: Factors | None = None

    @property
    def further(self) -> int:
        """Epochs of the second training."""
        return max(1, self.epochs // EPOCHS)

    @property
    def rate(self) -> float:
        """Its learning rate, as a share of the first one's; less where one epoch is more than a third."""
        return RATE * min(1.0, self.epochs / EPOCHS)


@dataclass(frozen=True)
class Means:
    """What a training is carried out with.

    Attributes:
        registry: components to choose from.
        where: to train.
        threads: of PyTorch.
        say: told what a reader should know.
        watch: makes the loop's watcher, given the number of texts and of epochs.
        folder: of the run, None keeps no checkpoints.
        every_s: seconds between two checkpoints within an epoch.
        stop: whether someone asks to stop.
    """

    registry: Registry
    where: torch.device
    threads: int
    say: Callable[[str], None]
    watch: Callable[[int, int], Watcher]
    folder: RunFolder | None
    every_s: float
    stop: Stop


def refit(fitted: Fitted, decided: Decided, parts: Parts, config: TrainingConfig, means: Means) -> Fitted | None:
    """Return the classifier trained from all texts but the test texts; None where that came to nothing, which is said.

    Args:
        fitted: the classifier of the training texts alone.
        decided: what else was decided with it.
        parts: the texts.
        config: of the first training.
        means: those of the first training.

    Raises:
        KeyboardInterrupt: someone asked to stop a second time.
    """
    say = means.say
    both = parts.together()
    if shared := parts.shared():
        say(f"{parts.validation.source}: {shared:,} texts are test texts too, and so not learned from")
    epochs = f"{decided.further} epoch{'' if decided.further == 1 else 's'}"
    say(f"training on, with all {len(both):,} training and validation texts, for {epochs}")
    started, what = time.monotonic(), "was stopped"
    try:
        again = _train(both, fitted, decided, parts, config, means)
    # whatever it is, a file that is gone, a machine out of memory: there is a classifier to serve
    except (SortgateError, MemoryError, RuntimeError, OSError, ValueError) as error:
        again, what = None, f"failed ({' '.join(str(error).split()) or type(error).__name__})"
    except KeyboardInterrupt:
        if means.stop.insisted:
            raise
        again = None
    if again is None:
        note = f"the second training {what}; the classifier of the first one is served"
        say(note)
        fitted.notes.append(note)
        return None
    say(f"trained on in {time.monotonic() - started:.0f} s: this classifier is served")
    return again


def left_out(
    config: TrainingConfig, tokens: int, parts: Parts, *, budget: bool, taught: bool, stop: Stop
) -> str | None:
    """Return why there is no second training, nothing where that goes without saying; None where there is one.

    Args:
        config: of the first training.
        tokens: of its texts.
        parts: the texts.
        budget: whether there is a time budget.
        taught: whether there are teachers.
        stop: whether someone asked to stop.
    """
    if not config.refits(tokens):
        return ""
    if budget or taught:
        where = "within a time budget" if budget else "in distillation"
        return f"refit=true: there is no second training {where}" if config.refit is True else ""
    if stop.requested:
        return f"stopped by {stop.reason}: there was no second training"
    if not len(parts.further()):
        return (
            "no validation text may be learned from, since all are test texts too or have labels that no training text "
            "has: there was no second training"
        )
    return None


def _train(
    both: Corpus, fitted: Fitted, decided: Decided, parts: Parts, config: TrainingConfig, means: Means
) -> Fitted | None:
    say, folder, where = means.say, means.folder, means.where
    start = begin(Parts(both, parts.validation, parts.test), config, means.registry, where, means.threads, _nothing)
    Learned.of(decided.network, fitted.vocabulary).put_into(start.recurrent, start.vocabulary)
    control = Control(every_s=means.every_s, device=where)
    tables = None
    if folder is not None:
        folder, control.resumed = _folder_of(folder, say)
    if folder is not None:
        control.save = folder.save
        tables = folder.load_ngrams()
        if control.resumed is not None:
            say(f"going on with the second training after epoch {control.resumed.facts['history']['best']}")
    if tables is None and decided.penalties:
        vocabulary, labels = start.vocabulary, len(start.labels)
        tables = fit_ngrams(start.learned, None, vocabulary, labels, config.ngrams, penalties=decided.penalties)
        if folder is not None:
            folder.save_ngrams(tables)
    progress = means.watch(len(start.batches.texts), decided.further)
    slower = msgspec.structs.replace(config.optimizer, learning_rate=decided.rate * config.optimizer.learning_rate)
    further = msgspec.structs.replace(config, epochs=decided.further, optimizer=slower)
    history = fit(start.recurrent, start.batches, start.loss, None, further, progress, control)
    if history.best < decided.further:
        if history.diverged:
            raise TrainingError(history.stopped)
        return None
    start.recurrent.cpu()
    module = HybridClassifier(start.recurrent)
    if tables is not None and decided.factors is not None:
        module = join(start.recurrent, tables, decided.factors, start.shift)
    graph = export_graph(module)
    asked = parts.validation.texts + (parts.test.texts if fitted.chosen.info.precision == "int8" else [])
    texts = [item for item in start.path.encode(asked) if isinstance(item, Encoded)]
    parity = check_parity(module, graph.SerializeToString(), texts[:_COMPARED], config.limits.max_tokens)
    chosen = again_as(fitted.chosen, graph, texts, fitted.temperature)
    return replace(
        fitted, path=start.path, vocabulary=start.vocabulary, parity=parity, chosen=chosen,
        record=start.record, learned=len(start.learned), further=decided.further,
    )  # fmt: skip


def _nothing(sentence: str) -> None:
    """Say nothing: the first training has said it."""


def _folder_of(folder: RunFolder, say: Callable[[str], None]) -> tuple[RunFolder | None, Checkpoint | None]:
    """Return the second training's folder and checkpoint; without a place to write, training goes on without."""
    try:
        return folder.refit()
    except TrainingError as error:
        say(f"no checkpoint of the second training can be written ({error}); training goes on")
        return None, None

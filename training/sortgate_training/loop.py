"""The training loop: it knows batches, a module and a loss, and nothing of what is inside the module."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import msgspec
import torch
from torch import nn

from sortgate.errors import TrainingError
from sortgate_training.averaging import WeightAverage
from sortgate_training.batches import Batch
from sortgate_training.config import TrainingConfig
from sortgate_training.interrupt import Stop, stop_on_ctrl_c
from sortgate_training.objective import Loss, Optimizer, create_schedule

#: Guessing among a hundred thousand labels costs 11.5: with a loss like this one, training has diverged.
MAX_LOSS = 1e4


class Judgement(NamedTuple):
    """How good the module is on the validation texts; ``loss`` is the plain cross-entropy, a text's mean."""

    loss: float
    accuracy: float
    macro_f1: float


class Epoch(msgspec.Struct, frozen=True):
    """What one epoch came to; losses are means a text, ``train_loss`` under dropout and while weights still moved."""

    number: int
    train_loss: float
    validation_loss: float
    validation_accuracy: float
    validation_macro_f1: float
    texts_per_s: float
    seconds: float


class History(msgspec.Struct):
    """All epochs, the number of the one that was kept, and why training ended."""

    epochs: list[Epoch] = []
    best: int = 0
    stopped: str = ""

    def overfitting(self) -> str | None:
        """Say in words when training and validation parted, None when they did not."""
        if len(self.epochs) < 2:
            return None
        turn = min(self.epochs, key=lambda epoch: epoch.validation_loss)
        last = self.epochs[-1]
        # A rise of a few per cent is noise: a small validation part has that from one epoch to the next.
        if last.validation_loss < 1.05 * turn.validation_loss or last.train_loss >= turn.train_loss:
            return None
        return (
            f"the model overfits after epoch {turn.number}: up to epoch {last.number} the training loss fell from "
            f"{turn.train_loss:.3f} to {last.train_loss:.3f}, but the validation loss rose from "
            f"{turn.validation_loss:.3f} to {last.validation_loss:.3f}; epoch {self.best} is kept. "
            "More texts help most, then a higher model.dropout or a smaller model.hidden"
        )


class Batches(Protocol):
    """The training texts; iterating gives one epoch, in a new order each time."""

    def __iter__(self) -> Iterator[Batch]: ...

    def __len__(self) -> int:
        """Count of batches in an epoch."""


class Watcher(Protocol):
    """Told of the progress; the loop prints nothing itself."""

    def step(self, epoch: int, texts: int, loss: float, texts_per_s: float) -> None:
        """Called after each batch, with the texts done in this epoch and their mean loss."""

    def epoch(self, epoch: Epoch, *, best: bool) -> None:
        """Called after each validation."""


def fit(
    module: nn.Module,
    batches: Batches,
    loss_of: Loss,
    judge: Callable[[nn.Module], Judgement],
    config: TrainingConfig,
    watcher: Watcher,
) -> History:
    """Train ``module`` in place; at the end it holds the weights of the epoch with the best validation macro-F1.

    Ctrl-C ends training and keeps the best epoch so far.

    Args:
        module: called with ids and lengths, returns logits.
        batches: what is learned from.
        loss_of: what is minimised.
        judge: judges the module, in evaluation mode and without gradients.
        config: epochs, patience, optimiser and schedule.
        watcher: is told of the progress.

    Raises:
        TrainingError: the loss is no longer a number.
        KeyboardInterrupt: stopped before the first epoch was over, so there is nothing to keep.
    """
    optimizer = Optimizer(config.optimizer, module)
    average = WeightAverage(module, config.optimizer.averaging)
    history = History()
    best: tuple[float, float] = (-1.0, 0.0)
    weights: dict[str, Any] = {}
    epochs = config.epochs_of(len(batches))
    factor = create_schedule(config.schedule, len(batches) * epochs)
    step = Step(module, loss_of, optimizer, factor, average)
    with stop_on_ctrl_c() as stop:
        for number in range(1, epochs + 1):
            started = time.perf_counter()
            texts, loss = _one_epoch(step, batches, number, watcher, stop)
            seconds = time.perf_counter() - started
            if stop.requested:
                break
            with average.applied():
                judgement = _judge(module, judge)
                # a small validation part gives many epochs the same F1: among those the surest one is kept
                if better := (judgement.macro_f1, -judgement.loss) > best:
                    best = (judgement.macro_f1, -judgement.loss)
                    history.best = number
                    weights = copy.deepcopy(module.state_dict())
            epoch = Epoch(number, loss, *judgement, texts / seconds, seconds)
            history.epochs.append(epoch)
            watcher.epoch(epoch, best=better)
            if number - history.best >= config.patience and number < epochs:
                history.stopped = f"no better validation macro-F1 for {config.patience} epochs"
                break
        else:
            history.stopped = f"all {epochs} epochs are done"
    if stop.requested and not weights:
        raise KeyboardInterrupt
    if not history.stopped:
        history.stopped = "stopped by Ctrl-C"
    module.load_state_dict(weights)
    return history


class Step:
    """Learns from one batch."""

    def __init__(
        self,
        module: nn.Module,
        loss_of: Loss,
        optimizer: Optimizer,
        factor: Callable[[int], float],
        average: WeightAverage,
    ) -> None:
        self.module = module
        self.loss_of = loss_of
        self.optimizer = optimizer
        self.factor = factor
        self.average = average
        self.done = 0

    def __call__(self, batch: Batch, epoch: int) -> float:
        """Return the loss, a text's mean."""
        self.optimizer.zero_grad()
        loss = self.loss_of(self.module(batch.ids, batch.lengths), batch.targets)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingError(
                f"the loss became {value} in epoch {epoch}: the steps are too large; lower optimizer.learning_rate "
                f"(now {self.optimizer.rate:g}) or set optimizer.gradient_clip=1"
            )
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        gradients = self.optimizer.gradients()
        self.average.before(gradients)
        self.optimizer.step(gradients, self.factor(self.done))
        self.average.update()
        self.done += 1
        return value


def _one_epoch(step: Step, batches: Batches, number: int, watcher: Watcher, stop: Stop) -> tuple[int, float]:
    """Return how many texts were learned from, and their mean loss."""
    step.module.train()
    texts, total = 0, 0.0
    started = time.perf_counter()
    for batch in batches:
        if stop.requested:
            break
        total += step(batch, number) * len(batch)
        texts += len(batch)
        watcher.step(number, texts, total / texts, texts / (time.perf_counter() - started))
    return texts, total / max(texts, 1)


def _judge(module: nn.Module, judge: Callable[[nn.Module], Judgement]) -> Judgement:
    module.eval()
    with torch.inference_mode():
        judgement = judge(module)
    if not judgement.loss < MAX_LOSS:
        raise TrainingError(
            f"training diverges: the validation loss is {judgement.loss:.3g}; lower optimizer.learning_rate"
        )
    return judgement

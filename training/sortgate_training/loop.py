"""The training loop: it knows batches, a module and a loss, and nothing of what is inside the module."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

import msgspec
import torch
from torch import nn

from sortgate.errors import TrainingError
from sortgate_training.averaging import WeightAverage
from sortgate_training.batches import Batch
from sortgate_training.budget import Budget, pace
from sortgate_training.checkpoint import Checkpoint
from sortgate_training.config import TrainingConfig
from sortgate_training.history import Epoch, History, Judgement
from sortgate_training.interrupt import Stop, stop_on_signals
from sortgate_training.memory import give_back
from sortgate_training.objective import Loss, Optimizer, create_schedule
from sortgate_training.parallel import SideBySide
from sortgate_training.step import CPU, Step

#: Guessing among a hundred thousand labels costs 11.5: with a loss like this one, training has diverged.
MAX_LOSS = 1e4


class Batches(Protocol):
    """The training texts; iterating gives one epoch, in a new order each time."""

    tokens: int  # in an epoch

    def __iter__(self) -> Iterator[Batch]: ...

    def __len__(self) -> int:
        """Count of batches in an epoch."""

    def state(self) -> dict[str, Any]:
        """Return what gives the epoch under way, or else the next one, again: plain values for JSON."""

    def restore(self, state: dict[str, Any], done: int) -> None:
        """Make the next epoch that of ``state``, without its first ``done`` batches."""


class Watcher(Protocol):
    """Told of the progress, between entering and leaving it; the loop prints nothing itself."""

    def __enter__(self) -> object:
        """Training begins."""

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        """Training is over."""

    def step(self, epoch: int, texts: int, loss: float, texts_per_s: float) -> None:
        """Called after each batch, with the texts done in this epoch and their mean loss."""

    def epoch(self, epoch: Epoch, *, best: bool) -> None:
        """Called after each validation."""

    def epoch_without_validation(self, number: int, loss: float, texts_per_s: float, seconds: float) -> None:
        """Called after each epoch of a training that nothing judges."""


@dataclass
class Control:
    """What watches over a run; by default nothing does.

    Attributes:
        save: called with a checkpoint after each epoch, every ``every_s`` seconds within one, and before a stop that
            leaves nothing to keep.
        every_s: seconds between two checkpoints within an epoch.
        resumed: the checkpoint to go on from.
        budget: ends training in time.
        log: called with each epoch.
        device: where to train, with mixed precision on CUDA.
    """

    save: Callable[[Checkpoint], None] | None = None
    every_s: float = 60.0
    resumed: Checkpoint | None = None
    budget: Budget | None = None
    log: Callable[[Epoch], None] = lambda _: None
    device: torch.device = CPU


def fit(
    module: nn.Module,
    batches: Batches,
    loss_of: Loss,
    judge: Callable[[nn.Module], Judgement] | None,
    config: TrainingConfig,
    watcher: Watcher,
    control: Control | None = None,
) -> History:
    """Train ``module`` in place; at the end it holds the weights of the epoch that was the best on validation.

    Ctrl-C, SIGTERM and the end of the time budget end training and keep the best epoch so far; so does a loss that
    diverges after a good epoch.

    Args:
        module: called with ids and lengths, in training also with a generator for its dropout; returns logits.
        batches: what is learned from.
        loss_of: what is minimised.
        judge: judges the module, in evaluation mode and without gradients; without it, each epoch counts as better
            than the one before, and the history has no more than its number.
        config: epochs, patience, metric, optimiser and schedule.
        watcher: is told of the progress.
        control: checkpoints, time budget and device.

    Raises:
        TrainingError: the loss is no longer a number, and no epoch was good before.
        KeyboardInterrupt: stopped before the first epoch was over, so there is nothing to keep.
    """
    give_back()
    with watcher, SideBySide() as sides, stop_on_signals() as stop:
        run = _Run(module, batches, loss_of, judge, config, watcher, control or Control(), sides)
        try:
            run.train(stop)
        except TrainingError as error:
            if not run.weights:
                raise
            run.history.stopped = f"training diverged after epoch {run.history.over} ({error})"
            run.history.diverged = True
    if not run.weights:
        run.save()
        raise KeyboardInterrupt
    module.load_state_dict(run.weights)
    history = run.history
    del run  # the optimiser's state
    give_back()
    return history


class _Run:
    """Everything that changes while a module is trained, and so all that a checkpoint holds."""

    def __init__(
        self,
        module: nn.Module,
        batches: Batches,
        loss_of: Loss,
        judge: Callable[[nn.Module], Judgement] | None,
        config: TrainingConfig,
        watcher: Watcher,
        control: Control,
        sides: SideBySide,
    ) -> None:
        self.module, self.batches, self.judge = module, batches, judge
        self.config, self.watcher, self.control = config, watcher, control
        self.optimizer = Optimizer(config.optimizer, module)
        self.average = WeightAverage(module, config.optimizer.averaging)
        self.epochs = config.epochs_of(len(batches), batches.tokens)
        steps = len(batches) * self.epochs
        factor = pace(create_schedule(config.schedule, steps), steps, control.budget)
        self.step = Step(
            module, loss_of, self.optimizer, factor, self.average,
            seed=config.seed, sides=sides, device=control.device, adversarial=config.loss.adversarial,
        )  # fmt: skip
        self.history = History()
        self.weights: dict[str, torch.Tensor] = {}
        self.best: tuple[float, float] = (-math.inf, -math.inf)
        #: of the epoch under way: batches and texts done, the sum of their losses, and seconds
        self.done, self.texts, self.total, self.seconds = 0, 0, 0.0, 0.0
        self._saved = time.monotonic()
        if control.resumed is not None:
            self.restore(control.resumed)

    def train(self, stop: Stop) -> None:
        """Train until a reason to stop, which goes to the history."""
        history, config = self.history, self.config
        if self.control.budget is not None:
            self.control.budget.begin()
        while not history.stopped:
            number = history.over + 1
            timed_out = self._one_epoch(number, stop)
            if stop.requested:
                history.stopped, history.interrupted = f"stopped by {stop.reason}", True
                return
            self._end_epoch(number)
            if timed_out:
                history.stopped = "the time budget is spent"
            elif number >= self.epochs:
                history.stopped = f"all {number} epochs are done"
            elif number - history.best >= config.patience:
                history.stopped = f"no better validation {_METRICS[config.metric]} for {config.patience} epochs"
            self.save()

    def _one_epoch(self, number: int, stop: Stop) -> bool:
        """Learn from the rest of an epoch's batches; returns whether the time budget was spent before its end."""
        self.module.train()
        before, already, begun = self.seconds, self.texts, time.perf_counter()
        budget = self.control.budget
        for batch in self.batches:
            if stop.requested:
                break
            self.total += self.step(batch, number) * len(batch)
            self.texts += len(batch)
            self.done += 1
            spent = time.perf_counter() - begun
            self.seconds = before + spent
            self.watcher.step(number, self.texts, self.total / self.texts, (self.texts - already) / spent)
            if budget is not None and budget.share() >= 1.0:
                return True
            if time.monotonic() - self._saved >= self.control.every_s:
                self.save()
        return False

    def _end_epoch(self, number: int) -> None:
        started = time.monotonic()
        with self.average.applied():
            judgement = None if self.judge is None else _judge(self.module, self.judge)
            score = self.best if judgement is None else _score(judgement, self.config.metric)
            if better := judgement is None or score > self.best:
                self.best = score
                self.history.best = number
                self.weights = copy.deepcopy(self.module.state_dict())
        if self.control.budget is not None:
            self.control.budget.judged(time.monotonic() - started)
        loss, rate = self.total / max(self.texts, 1), self.texts / max(self.seconds, 1e-9)
        if judgement is None:
            self.watcher.epoch_without_validation(number, loss, rate, self.seconds)
        else:
            epoch = Epoch(number, loss, *judgement, rate, self.seconds)
            self.history.epochs.append(epoch)
            self.watcher.epoch(epoch, best=better)
            self.control.log(epoch)
        self.done, self.texts, self.total, self.seconds = 0, 0, 0.0, 0.0
        give_back()

    def save(self) -> None:
        """Hand out a checkpoint, if someone takes it."""
        if self.control.save is not None:
            self.control.save(self.state())
        self._saved = time.monotonic()

    def state(self) -> Checkpoint:
        """Return all that changes."""
        facts: dict[str, Any] = {
            "history": msgspec.to_builtins(self.history),
            "steps": self.step.done,
            "best": [value if math.isfinite(value) else None for value in self.best],
            "epoch": {"done": self.done, "texts": self.texts, "total": self.total, "seconds": self.seconds},
            "batches": self.batches.state(),
        }
        if self.control.budget is not None:
            facts["budget"] = self.control.budget.state()
        tensors: dict[str, torch.Tensor] = {}
        for prefix, part in (
            ("module", self.module.state_dict()),
            ("best", self.weights),
            ("optimizer", self.optimizer.state()),
            ("average", self.average.state()),
        ):
            tensors |= {f"{prefix}/{name}": tensor for name, tensor in part.items()}
        return Checkpoint(facts, tensors)

    def restore(self, found: Checkpoint) -> None:
        """Go on from :meth:`state`."""
        facts = found.facts
        parts: dict[str, dict[str, torch.Tensor]] = {"module": {}, "best": {}, "optimizer": {}, "average": {}}
        for name, tensor in found.tensors.items():
            prefix, slash, rest = name.partition("/")
            if slash:
                parts[prefix][rest] = tensor
        self.module.load_state_dict(parts["module"])
        self.optimizer.restore(parts["optimizer"])
        self.average.restore(parts["average"])
        self.weights = parts["best"]
        self.history = msgspec.convert(facts["history"], History)
        if self.history.interrupted:  # before the first epoch was over; whoever goes on no longer asks to stop
            self.history.stopped, self.history.interrupted = "", False
        self.step.done = facts["steps"]
        first, second = (-math.inf if value is None else value for value in facts["best"])
        self.best = (first, second)
        epoch = facts["epoch"]
        self.done, self.texts, self.total, self.seconds = (
            epoch[name] for name in ("done", "texts", "total", "seconds")
        )
        self.batches.restore(facts["batches"], self.done)
        if self.control.budget is not None and "budget" in facts:
            self.control.budget.restore(facts["budget"])


#: What ``metric`` may name, in words.
_METRICS = {"auto": "loss", "macro_f1": "macro-F1", "accuracy": "accuracy", "loss": "loss"}


def _score(judgement: Judgement, metric: str) -> tuple[float, float]:
    """Return what is to be as great as can be; a small validation part gives many epochs the same first figure."""
    if metric in {"auto", "loss"}:
        return -judgement.loss, judgement.macro_f1
    return (judgement.accuracy if metric == "accuracy" else judgement.macro_f1), -judgement.loss


def _judge(module: nn.Module, judge: Callable[[nn.Module], Judgement]) -> Judgement:
    module.eval()
    for part in module.modules():
        if isinstance(part, nn.RNNBase):
            part.flatten_parameters()  # cuDNN wants one block of memory, which averaged weights are not
    with torch.inference_mode():
        judgement = judge(module)
    if not judgement.loss < MAX_LOSS:
        raise TrainingError(
            f"training diverges: the validation loss is {judgement.loss:.3g}; lower optimizer.learning_rate"
        )
    return judgement

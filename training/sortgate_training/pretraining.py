"""Learns token vectors and the first recurrent layer from texts without labels."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch

from sortgate.encoded import Encoded
from sortgate.errors import DataError, TrainingError
from sortgate.plugins import Registry
from sortgate.textpath import TextPath
from sortgate.vocabulary import Vocabulary
from sortgate_training.averaging import WeightAverage
from sortgate_training.batches import EncodedTexts, TrainingBatches
from sortgate_training.begin import batches_of
from sortgate_training.budget import Budget, pace
from sortgate_training.config import TrainingConfig
from sortgate_training.data import Corpus
from sortgate_training.interrupt import Stop, stop_on_signals
from sortgate_training.language_model import LanguageModel
from sortgate_training.model import RecurrentClassifier
from sortgate_training.objective import Optimizer, create_schedule
from sortgate_training.parallel import SideBySide, set_threads
from sortgate_training.step import Step

#: Where the configuration says auto: more learns more, slowly.
EPOCHS = 3
#: Held-out share, and most texts of it, that show how well the next token is predicted.
_HELD_OUT, _MOST_HELD_OUT = 0.02, 100


@dataclass(frozen=True)
class Pretraining:
    """What pretraining came to; ``perplexity`` is on held-out texts, ``epochs`` counts those begun."""

    vocabulary: Vocabulary
    network: RecurrentClassifier
    texts: int
    tokens: int
    epochs: int
    perplexity: float
    stopped: str


#: Told of the epoch, the texts done in it, and the mean loss so far.
Watch = Callable[[int, int, float], None]


def pretrain(
    corpus: Corpus,
    config: TrainingConfig,
    registry: Registry,
    *,
    say: Callable[[str], None],
    watch: Watch = lambda *_: None,
    threads: int = 1,
    budget: Budget | None = None,
) -> Pretraining:
    """Learn to predict the next token, forward and backward.

    Ctrl-C, SIGTERM and the end of the time budget end it between two steps, and keep what is learned.

    Raises:
        DataError: too few texts of two tokens are left after the text path.
        TrainingError: the loss diverged, or there was no time for a step.
        KeyboardInterrupt: stopped before the first step.
        PluginError: a component of the text path is unknown or refuses its parameters.
    """
    set_threads(threads)
    torch.manual_seed(config.seed)
    path = TextPath.create(config.text, registry, config.limits)
    path.fit(corpus.texts, min_count=config.vocabulary.min_count, max_size=config.vocabulary.max_size)
    vocabulary = cast("Vocabulary", path.vocabulary)  # fit has built it
    texts = [item for item in path.encode(corpus.texts) if isinstance(item, Encoded) and len(item) > 1]
    if len(texts) < 10:
        raise DataError(f"{corpus.source}: {len(texts)} texts of two tokens or more; pretraining needs 10 at least")
    order = np.random.default_rng(config.seed).permutation(len(texts)).tolist()
    held = max(1, min(_MOST_HELD_OUT, int(len(texts) * _HELD_OUT)))
    held_out, learned = (
        EncodedTexts([texts[row] for row in rows], [0] * len(rows)) for rows in (order[:held], order[held:])
    )
    counts = np.bincount(learned.flat(), minlength=len(vocabulary))
    network = RecurrentClassifier(config.model, len(vocabulary), 1, vocabulary if config.model.characters else None)
    model = LanguageModel(network, counts)
    batches = batches_of(learned, config)
    say(f"{len(learned):,} texts of {int(learned.lengths.sum()):,} tokens, a vocabulary of {len(vocabulary):,}")
    with SideBySide() as sides, stop_on_signals() as stop:
        run = _Run(model, batches, held_out, config, budget, say, watch, sides)
        stopped = run.train(stop)
    if not run.step.done:
        if stop.requested:
            raise KeyboardInterrupt
        raise TrainingError("--time-budget is over before a first step: nothing is learned, and nothing written")
    tokens = int(learned.lengths.sum())
    return Pretraining(vocabulary, network, len(texts), tokens, run.epoch, model.perplexity(held_out), stopped)


class _Run:
    """The loop: no epoch is chosen, since what is learned of a language is of use whatever was the last step."""

    def __init__(
        self,
        model: LanguageModel,
        batches: TrainingBatches,
        held_out: EncodedTexts,
        config: TrainingConfig,
        budget: Budget | None,
        say: Callable[[str], None],
        watch: Watch,
        sides: SideBySide,
    ) -> None:
        self.model, self.batches, self.held_out = model, batches, held_out
        self.budget, self.say, self.watch = budget, say, watch
        self.epochs = EPOCHS if config.epochs == "auto" else config.epochs
        steps = len(batches) * self.epochs
        factor = pace(create_schedule(config.schedule, steps), steps, budget)
        optimizer, average = Optimizer(config.optimizer, model), WeightAverage(model, 0.0)
        self.step = Step(model, _mean, optimizer, factor, average, sides=sides, seed=config.seed)
        self.epoch = 0

    def train(self, stop: Stop) -> str:
        """Return why it ended."""
        if self.budget is not None:
            self.budget.begin()
        while self.epoch < self.epochs:
            self.epoch += 1
            texts, total, started = 0, 0.0, time.monotonic()
            for batch in self.batches:
                if stop.requested:
                    return f"stopped by {stop.reason}"
                if self.budget is not None and self.budget.share() >= 1.0:
                    return "the time budget is spent"
                self.model.train()
                total += self.step(batch, self.epoch) * len(batch)
                texts += len(batch)
                self.watch(self.epoch, texts, total / texts)
            self.model.eval()
            seconds = time.monotonic() - started
            begun = time.monotonic()
            perplexity = self.model.perplexity(self.held_out)
            if self.budget is not None:
                self.budget.judged(time.monotonic() - begun)
            self.say(
                f"epoch {self.epoch}/{self.epochs}  loss {total / texts:.4f}  held-out perplexity {perplexity:,.1f}  "
                f"{texts / max(seconds, 1e-9):,.0f} texts/s  {seconds:.0f} s"
            )
        return f"all {self.epochs} epochs are done"


def _mean(losses: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    return losses.mean()

"""The loop, on a module it knows nothing of: keeps the best epoch, stops early, and says what went wrong."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest
import torch
from torch import nn

from sortgate.errors import TrainingError
from sortgate_training.batches import Batch
from sortgate_training.budget import Budget
from sortgate_training.checkpoint import Checkpoint
from sortgate_training.config import LossConfig, OptimizerConfig, ScheduleConfig, TrainingConfig
from sortgate_training.history import Epoch, History, Judgement
from sortgate_training.loop import Batches, Control, fit

PLAIN = LossConfig(adversarial=0.0)  # no vectors to perturb
CONFIG = TrainingConfig(
    loss=PLAIN,
    epochs=6,
    patience=2,
    metric="macro_f1",
    optimizer=OptimizerConfig(learning_rate=0.1),
    schedule=ScheduleConfig(name="constant"),
)


class Scale(nn.Module):
    """One weight, so that a test sees which epoch's it is."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, 2))

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor, _: torch.Generator | None = None) -> torch.Tensor:
        return ids.float() * self.weight + lengths.unsqueeze(1) * 0.0


class Texts:
    """Three batches of two texts; ``before`` runs ahead of each."""

    tokens = 12

    def __init__(self, before: Callable[[int], None] = lambda _: None) -> None:
        self.made = 0
        self.before = before

    def __iter__(self) -> Iterator[Batch]:
        for _ in range(3):
            self.made += 1
            self.before(self.made)
            yield Batch(torch.tensor([[1, 2], [1, 2]]), torch.tensor([2, 2]), torch.tensor([1, 1]))

    def __len__(self) -> int:
        return 3

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any], done: int) -> None:
        raise NotImplementedError


class Watched:
    """Records what the loop tells."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = []
        self.epochs: list[tuple[int, bool]] = []
        self.within = False

    def __enter__(self) -> None:
        self.within = True

    def __exit__(self, *_: object) -> None:
        self.within = False

    def step(self, epoch: int, texts: int, loss: float, texts_per_s: float) -> None:
        assert loss > 0
        assert texts_per_s > 0
        assert self.within
        self.steps.append((epoch, texts))

    def epoch(self, epoch: Epoch, *, best: bool) -> None:
        self.epochs.append((epoch.number, best))


def run(
    scores: list[float], texts: Batches | None = None, config: TrainingConfig = CONFIG
) -> tuple[History, Watched, list[float], float]:
    """Train with the given validation macro-F1 an epoch; returns the weight after each epoch and at the end."""
    module, watched = Scale(), Watched()
    weights: list[float] = []

    def judge(judged: nn.Module) -> Judgement:
        assert not judged.training
        assert torch.is_inference_mode_enabled()
        weights.append(float(module.weight[0, 1]))
        return Judgement(1.0, 0.5, scores[len(weights) - 1])

    history = fit(module, texts or Texts(), nn.CrossEntropyLoss(), judge, config, watched)
    assert not watched.within
    return history, watched, weights, float(module.weight.detach()[0, 1])


def test_the_best_epoch_is_kept_and_training_stops_early() -> None:
    history, watched, weights, final = run([0.1, 0.7, 0.6, 0.7, 0.9])
    assert (history.best, len(history.epochs)) == (2, 4)
    assert history.stopped == "no better validation macro-F1 for 2 epochs"
    assert final == weights[1] != weights[3]
    assert watched.epochs == [(1, True), (2, True), (3, False), (4, False)]
    assert watched.steps[:4] == [(1, 2), (1, 4), (1, 6), (2, 2)]


def test_all_epochs() -> None:
    history, _, weights, final = run([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert (history.best, history.stopped) == (6, "all 6 epochs are done")
    assert final == weights[5]


def test_among_equal_scores_the_lower_loss_is_kept() -> None:
    module = Scale()
    losses = iter([0.5, 0.3, 0.4])
    config = TrainingConfig(epochs=3, loss=PLAIN)
    history = fit(
        module, Texts(), nn.CrossEntropyLoss(), lambda _: Judgement(next(losses), 1.0, 1.0), config, Watched()
    )
    assert history.best == 2


def test_ctrl_c_keeps_the_best_epoch_so_far() -> None:
    def interrupt(made: int) -> None:
        if made == 8:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    history, watched, weights, final = run([0.1, 0.7, 0.6], Texts(interrupt))
    assert history.stopped == "stopped by Ctrl-C"
    assert (history.best, len(history.epochs)) == (2, 2)
    assert final == weights[1]
    assert watched.steps[-1] == (3, 2)
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_in_the_first_epoch_leaves_nothing_to_keep() -> None:
    with pytest.raises(KeyboardInterrupt):
        run([0.1], Texts(lambda _: os.kill(os.getpid(), signal.SIGINT)))


def test_a_second_ctrl_c_does_not_wait() -> None:
    def interrupt(made: int) -> None:
        if made == 5:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run([0.1, 0.2], Texts(interrupt))


def test_a_loss_that_is_no_number_ends_training() -> None:
    module = Scale()
    with torch.no_grad():
        module.weight.fill_(float("nan"))
    with pytest.raises(TrainingError, match=r"the loss became nan in epoch 1: .*optimizer\.learning_rate \(now 0\.1\)"):
        fit(module, Texts(), nn.CrossEntropyLoss(), lambda _: Judgement(1.0, 0.5, 0.5), CONFIG, Watched())
    with pytest.raises(TrainingError, match="validation loss"):
        fit(Scale(), Texts(), nn.CrossEntropyLoss(), lambda _: Judgement(float("nan"), 0, 0), CONFIG, Watched())


def test_after_a_good_epoch_a_diverging_run_keeps_it() -> None:
    judged = iter([Judgement(1.0, 0.5, 0.5), Judgement(float("nan"), 0.0, 0.0)])
    module = Scale()
    history = fit(module, Texts(), nn.CrossEntropyLoss(), lambda _: next(judged), CONFIG, Watched())
    assert history.best == 1
    assert history.stopped.startswith("training diverged after epoch 1 (training diverges: the validation loss is nan")
    assert history.diverged
    assert history_of([0.9], [0.8], best=1).diverged is False


@pytest.mark.parametrize(("metric", "best"), [("macro_f1", 3), ("accuracy", 2), ("loss", 1), ("auto", 1)])
def test_the_metric_decides_which_epoch_is_the_best(
    metric: Literal["auto", "macro_f1", "accuracy", "loss"], best: int
) -> None:
    judged = iter([Judgement(0.1, 0.2, 0.2), Judgement(0.5, 0.9, 0.3), Judgement(0.4, 0.5, 0.8)])
    config = TrainingConfig(epochs=3, metric=metric, loss=PLAIN)
    assert fit(Scale(), Texts(), nn.CrossEntropyLoss(), lambda _: next(judged), config, Watched()).best == best


def test_a_stop_before_the_first_epoch_hands_out_a_checkpoint() -> None:
    saved: list[Checkpoint] = []
    texts = Texts(lambda made: os.kill(os.getpid(), signal.SIGTERM) if made == 2 else None)
    with pytest.raises(KeyboardInterrupt):
        fit(
            Scale(),
            texts,
            nn.CrossEntropyLoss(),
            lambda _: Judgement(1.0, 0.5, 0.5),
            CONFIG,
            Watched(),
            Control(save=saved.append),
        )
    assert [found.facts["steps"] for found in saved] == [1]


def test_after_such_a_stop_training_goes_on() -> None:
    class Restored(Texts):
        def restore(self, state: dict[str, Any], done: int) -> None:
            assert (state, done) == ({}, 1)

    saved: list[Checkpoint] = []
    stopping = Texts(lambda made: os.kill(os.getpid(), signal.SIGTERM) if made == 2 else None)
    arguments = (nn.CrossEntropyLoss(), lambda _: Judgement(1.0, 0.5, 0.5), CONFIG, Watched())
    with pytest.raises(KeyboardInterrupt):
        fit(Scale(), stopping, *arguments, Control(save=saved.append))
    history = fit(Scale(), Restored(), *arguments, Control(resumed=saved[0]))
    assert (history.best, history.interrupted) == (1, False)
    assert history.stopped == "no better validation macro-F1 for 2 epochs"


def test_in_a_time_budget_the_rate_has_decayed_when_time_is_up() -> None:
    now = [0.0]
    rates: list[float] = []

    class Timed(Texts):
        def __iter__(self) -> Iterator[Batch]:
            for batch in super().__iter__():
                now[0] += 1.0
                yield batch

    budget = Budget(40.0, 0.0, lambda: now[0])
    now[0] = 10.0  # of which reading and n-grams took their part
    config = TrainingConfig(epochs=1000, patience=1000, schedule=ScheduleConfig(warmup=0.1), loss=PLAIN)
    module = Scale()
    module.weight.register_hook(lambda gradient: rates.append(now[0]) or gradient)
    weights: list[float] = []

    def judge(_: nn.Module) -> Judgement:
        weights.append(float(module.weight.detach()[0, 1]))
        return Judgement(1.0, 0.5, 0.5)

    history = fit(module, Timed(), nn.CrossEntropyLoss(), judge, config, Watched(), Control(budget=budget))
    assert history.stopped == "the time budget is spent"
    assert 30.0 <= rates[-1] <= 38.5, "a part is kept for judging and export"
    steps = [abs(b - a) for a, b in itertools.pairwise(weights)]
    assert steps[-1] < 0.2 * max(steps)


def history_of(train: list[float], validation: list[float], best: int) -> History:
    pairs = zip(train, validation, strict=True)
    return History([Epoch(number, t, v, 0.5, 0.5, 1.0, 1.0) for number, (t, v) in enumerate(pairs, 1)], best, "")


def test_overfitting_is_said_in_words() -> None:
    words = history_of([0.9, 0.5, 0.3, 0.1], [0.8, 0.6, 0.7, 0.9], best=2).overfitting()
    assert words is not None
    assert words.startswith(
        "the model overfits after epoch 2: up to epoch 4 the training loss fell from 0.500 to 0.100"
    )
    assert "from 0.600 to 0.900; epoch 2 is kept" in words


@pytest.mark.parametrize(
    ("train", "validation"),
    [([0.9], [0.8]), ([0.9, 0.5, 0.3], [0.8, 0.6, 0.61]), ([0.9, 0.5, 0.6], [0.8, 0.6, 0.9]), ([], [])],
)
def test_noise_is_no_overfitting(train: list[float], validation: list[float]) -> None:
    assert history_of(train, validation, best=1).overfitting() is None

"""Threads side by side: as many as there are, and the same outcome with any number of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn

from sortgate_training.averaging import WeightAverage
from sortgate_training.batches import Batch, EncodedTexts, TrainingBatches
from sortgate_training.config import LossConfig, ModelConfig, OptimizerConfig
from sortgate_training.logits import torch_logits
from sortgate_training.model import RecurrentClassifier
from sortgate_training.objective import Optimizer, create_loss
from sortgate_training.parallel import SideBySide, set_threads
from sortgate_training.rows import RowGradient
from sortgate_training.step import Step

TOKENS = [f"{stem}{end}" for stem in ("print", "mail", "user", "net") for end in ("s", "ed", "ing", "er")]
CONFIG = ModelConfig(hidden=8, embedding=6, layers=2)


@pytest.fixture(autouse=True)
def _one_thread_after() -> Iterator[None]:
    yield
    set_threads(1)


def texts(count: int) -> EncodedTexts:
    generator = np.random.default_rng(0)
    ids = [generator.integers(1, len(TOKENS) + 2, generator.integers(1, 12)).tolist() for _ in range(count)]
    return EncodedTexts(ids, generator.integers(0, 3, count).tolist())


def train(threads: int, seed: int = 0, adversarial: float = 0.1) -> tuple[dict[str, torch.Tensor], np.ndarray]:
    set_threads(threads)
    torch.manual_seed(0)
    module = RecurrentClassifier(CONFIG, len(TOKENS) + 2, 3, TOKENS)
    optimizer = Optimizer(OptimizerConfig(), module)
    average = WeightAverage(module, 0.99)
    learned = texts(33)  # the last batch has one text, and so one part
    with SideBySide() as sides:
        step = Step(
            module, nn.CrossEntropyLoss(), optimizer, lambda _: 1.0, average,
            seed=seed, sides=sides, adversarial=adversarial,
        )  # fmt: skip
        for _ in range(3):
            for batch in TrainingBatches(learned, batch_size=8, batch_tokens=10_000, seed=0):
                step(batch, 1)
    return dict(module.state_dict()), torch_logits(module, learned, rows=8)


def test_the_outcome_does_not_depend_on_the_threads() -> None:
    first, first_logits = train(1)
    for threads in (2, 3):
        weights, logits = train(threads)
        assert all(torch.equal(weights[name], first[name]) for name in first)
        assert (logits == first_logits).all()


def test_the_seed_decides_what_is_dropped() -> None:
    first, _ = train(2)
    other, _ = train(2, seed=1)
    assert not torch.equal(first["output.weight"], other["output.weight"])


def gradients_of(adversarial: float, batch: Batch, module: RecurrentClassifier) -> list[torch.Tensor]:
    """Return the gradients of one step."""
    seen: list[torch.Tensor] = []

    class Seeing(Optimizer):
        def gradients(self) -> list[RowGradient]:
            # as they are before they are clipped in place
            seen.extend(weight.grad.to_dense().clone() for weight in module.parameters() if weight.grad is not None)
            return super().gradients()

    with SideBySide() as sides:
        Step(
            module, nn.CrossEntropyLoss(), Seeing(OptimizerConfig(learning_rate=1e-9), module), lambda _: 1.0,
            WeightAverage(module, 0.0), sides=sides, adversarial=adversarial,
        )(batch, 1)  # fmt: skip
    return seen


@pytest.mark.parametrize("characters", [True, False])
def test_a_perturbed_step_learns_from_where_the_loss_of_each_text_rises_most(characters: bool) -> None:
    set_threads(1)
    torch.manual_seed(0)
    module = RecurrentClassifier(
        ModelConfig(hidden=8, embedding=6, dropout=0.0, embedding_dropout=0.0, token_dropout=0.0),
        len(TOKENS) + 2, 3, TOKENS if characters else None,
    )  # fmt: skip
    batch = texts(7).batch(range(7))
    loss_of, size = nn.CrossEntropyLoss(), 0.3
    vectors = module.vectors(batch.ids)
    loss = loss_of(module.read(vectors, batch.lengths), batch.targets)
    (slope,) = torch.autograd.grad(loss, vectors, retain_graph=True)
    moves = torch.zeros_like(vectors)
    for text in range(7):
        one = slope[:, text]
        moves[:, text] = size * vectors[:, text].detach().norm() / batch.lengths[text].sqrt() * one / one.norm()
    assert float(moves[:, int(batch.lengths.argmin())][int(batch.lengths.min()) :].abs().sum()) == 0, "padding stays"
    worse = loss_of(module.read(vectors + moves, batch.lengths), batch.targets)
    assert worse > loss
    expected = torch.autograd.grad((loss + worse) / 2, list(module.parameters()), allow_unused=True)
    seen = gradients_of(size, batch, module)
    wanted = [gradient.to_dense() for gradient in expected if gradient is not None]
    assert len(seen) == len(wanted)
    for gradient, other in zip(seen, wanted, strict=True):
        torch.testing.assert_close(gradient, other, rtol=1e-3, atol=1e-6)


def test_every_second_step_is_perturbed_and_what_is_dropped_stays_the_same() -> None:
    calls: list[tuple[int, torch.Tensor]] = []

    class Watched(RecurrentClassifier):
        def read(self, x: torch.Tensor, lengths: torch.Tensor, random: torch.Generator | None = None) -> torch.Tensor:
            assert random is not None
            calls.append((len(lengths), random.get_state()))
            return super().read(x, lengths, random)

    set_threads(1)
    module = Watched(CONFIG, len(TOKENS) + 2, 3, TOKENS)
    average = WeightAverage(module, 0.0)
    with SideBySide() as sides:
        step = Step(
            module, nn.CrossEntropyLoss(), Optimizer(OptimizerConfig(), module), lambda _: 1.0, average,
            sides=sides, adversarial=0.1,
        )  # fmt: skip
        counts = []
        for _ in range(4):
            before = len(calls)
            step(texts(1).batch([0]), 1)
            counts.append(len(calls) - before)
    assert counts == [2, 1, 2, 1]
    assert torch.equal(calls[0][1], calls[1][1])


@pytest.mark.parametrize("scale", [1.0, 1e-22, 1e-30])
def test_a_perturbation_is_never_larger_than_asked_for(scale: float) -> None:
    seen: list[torch.Tensor] = []

    class Watched(RecurrentClassifier):
        def read(self, x: torch.Tensor, lengths: torch.Tensor, random: torch.Generator | None = None) -> torch.Tensor:
            seen.append(x.detach())
            return super().read(x, lengths, random)

    set_threads(1)
    torch.manual_seed(0)
    module = Watched(CONFIG, len(TOKENS) + 2, 3, TOKENS)
    loss_of = nn.CrossEntropyLoss()
    with SideBySide() as sides:
        Step(
            module, lambda logits, targets: scale * loss_of(logits, targets), Optimizer(OptimizerConfig(), module),
            lambda _: 1.0, WeightAverage(module, 0.0), sides=sides, adversarial=0.3,
        )(texts(1).batch([0]), 1)  # fmt: skip
    moved = float((seen[1] - seen[0]).norm())
    largest = 0.3 * float(seen[0].norm()) / len(seen[0]) ** 0.5
    assert moved <= 1.001 * largest
    if scale == 1.0:
        assert moved > 0.999 * largest


@pytest.mark.parametrize("config", [LossConfig(), LossConfig(class_weights={"b": 9.0}), LossConfig(name="focal")])
def test_a_step_is_that_of_the_whole_batch(config: LossConfig) -> None:
    module = RecurrentClassifier(
        ModelConfig(hidden=8, embedding=6, dropout=0.0, embedding_dropout=0.0, token_dropout=0.0),
        len(TOKENS) + 2, 3, TOKENS,
    )  # fmt: skip
    batch = texts(7).batch(range(7))
    loss = create_loss(config, "abc", [5, 1, 2])
    loss(module(batch.ids, batch.lengths), batch.targets).backward()
    expected = [weight.grad.to_dense() for weight in module.parameters() if weight.grad is not None]
    seen: list[torch.Tensor] = []

    class Seeing(Optimizer):
        def gradients(self) -> list[RowGradient]:
            # as they are before they are clipped in place
            seen.extend(weight.grad.to_dense().clone() for weight in module.parameters() if weight.grad is not None)
            return super().gradients()

    with SideBySide() as sides:
        step = Step(
            module, loss, Seeing(OptimizerConfig(), module), lambda _: 1.0, WeightAverage(module, 0.0), sides=sides
        )
        step(batch, 1)
    assert len(seen) == len(expected)
    for gradient, other in zip(seen, expected, strict=True):
        torch.testing.assert_close(gradient, other)


@pytest.mark.parametrize(("threads", "sides", "within"), [(1, 1, 1), (2, 2, 1), (5, 2, 2)])
def test_threads_are_divided(threads: int, sides: int, within: int) -> None:
    set_threads(threads)
    met = threading.Barrier(sides)

    def work(number: int) -> tuple[int, int]:
        met.wait(timeout=10)  # or it hangs: as many are at work at once
        return number, torch.get_num_threads()

    with SideBySide() as used:
        assert used.map(work, range(sides)) == [(number, within) for number in range(sides)]


def test_what_a_side_raises_comes_out() -> None:
    set_threads(2)

    def fail(number: int) -> int:
        return 1 // number

    with SideBySide() as sides, pytest.raises(ZeroDivisionError):
        sides.map(fail, [1, 0])

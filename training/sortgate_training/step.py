"""One step of training: forward, backward, clip, move, average."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import nn

from sortgate.errors import TrainingError
from sortgate_training.averaging import WeightAverage
from sortgate_training.batches import Batch
from sortgate_training.objective import Loss, Optimizer
from sortgate_training.parallel import SIDES, SideBySide

if TYPE_CHECKING:
    from sortgate_training.model import RecurrentClassifier

CPU = torch.device("cpu")
#: Steps from one with a perturbation to the next; such a step takes up to twice the time.
ADVERSARIAL_EVERY = 2
#: Least norm of a text's gradient that is brought to the perturbation's size: squares of much less are 0 in float32,
#: and a norm that is too small would make the perturbation too large. Focal loss comes to such gradients.
_LEAST_SLOPE = 1e-18
#: A part's loss, and the gradients of the weights.
Part = tuple[float, tuple[torch.Tensor | None, ...]]


class Step:
    """Learns from one batch; on the CPU its texts are divided among threads side by side.

    Args:
        module: called with ids, lengths and a generator for its dropout; returns logits.
        loss_of: a text's mean loss.
        optimizer: moves the weights.
        factor: of the learning rate, by step.
        average: follows the weights.
        sides: the threads.
        seed: of dropout; with it, a step's number and a part's number make each mask.
        device: where the module is.
        adversarial: size of the perturbation that every second step learns to withstand, in norms of a token's vector;
            the module has :meth:`~sortgate_training.model.RecurrentClassifier.vectors` and ``read`` then.
    """

    def __init__(
        self,
        module: nn.Module,
        loss_of: Loss,
        optimizer: Optimizer,
        factor: Callable[[int], float],
        average: WeightAverage,
        *,
        sides: SideBySide,
        seed: int = 0,
        device: torch.device | None = None,
        adversarial: float = 0.0,
    ) -> None:
        self.module = module
        self.loss_of = loss_of
        self.optimizer = optimizer
        self.factor = factor
        self.average = average
        self.seed = seed
        self.sides = sides
        self.device = device or CPU
        self.adversarial = adversarial
        # bfloat16 has float32's range, so gradients need no scaling; older cards, which lack it, train in float32
        self.mixed = self.device.type == "cuda" and torch.cuda.is_bf16_supported()
        self.done = 0
        self._weights = [weight for weight in module.parameters() if weight.requires_grad]
        self._random = [torch.Generator(self.device) for _ in range(SIDES if self.device == CPU else 1)]

    def __call__(self, batch: Batch, epoch: int) -> float:
        """Return the loss, a text's mean."""
        parts = batch.parts(len(self._random))
        found = self.sides.map(self._learn, range(len(parts)), parts, [len(part) / len(batch) for part in parts])
        value = sum(loss for loss, _ in found)
        if not math.isfinite(value):
            raise TrainingError(
                f"the loss became {value} in epoch {epoch}: the steps are too large; lower optimizer.learning_rate "
                f"(now {self.optimizer.rate:g}) or set optimizer.gradient_clip=1"
            )
        self._add_up([gradients for _, gradients in found])
        gradients = self.optimizer.gradients()
        self.average.before(gradients)
        self.optimizer.step(gradients, self.factor(self.done))
        self.average.update()
        self.done += 1
        return value

    def _learn(self, number: int, batch: Batch, share: float) -> Part:
        """Return a part's loss and gradients, by its share of the batch."""
        random = self._random[number]
        # made anew from the step's number, so there is no state that a checkpoint would have to keep
        random.manual_seed(
            int(np.random.SeedSequence((self.seed, self.done, number)).generate_state(1, np.uint64)[0] >> 1)
        )
        batch = batch.to(self.device)
        if self.adversarial and self.done % ADVERSARIAL_EVERY == 0:
            return self._learn_perturbed(batch, random, share)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed):
            logits = self.module(batch.ids, batch.lengths, random)
        loss = self.loss_of(logits.float(), batch.targets) * share
        return float(loss.detach()), torch.autograd.grad(loss, self._weights, allow_unused=True)

    def _learn_perturbed(self, batch: Batch, random: torch.Generator, share: float) -> Part:
        """Return the loss, and the gradients of the mean of it and of the loss after a perturbation.

        The vectors of each text are moved to where the loss rises most (Miyato et al. 2017, arXiv 1605.07725, eq. 1),
        with the same elements dropped. Both losses share the vectors, through which their gradients go back at once.
        """
        module = cast("RecurrentClassifier", self.module)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed):
            vectors = module.vectors(batch.ids, random)
        leaf = vectors.detach().requires_grad_()
        state = random.get_state()

        def learn(x: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor | None, ...]]:
            random.set_state(state)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed):
                logits = module.read(x, batch.lengths, random)
            loss = self.loss_of(logits.float(), batch.targets) * share
            return loss, torch.autograd.grad(0.5 * loss, [leaf, *self._weights], allow_unused=True)

        loss, plain = learn(leaf)
        slope = cast("torch.Tensor", plain[0])
        norms, slopes = (tensor.norm(dim=(0, 2), keepdim=True) for tensor in (leaf.detach(), slope))  # of each text
        # a token's norm, root mean square: a share of the whole text's would take all of what a word of a long one says
        size = self.adversarial * norms / batch.lengths.sqrt()[None, :, None]
        _, perturbed = learn(leaf + size / slopes.clamp_min(_LEAST_SLOPE) * slope)
        at_vectors = slope + cast("torch.Tensor", perturbed[0])
        behind = torch.autograd.grad(vectors, self._weights, at_vectors, allow_unused=True)
        return float(loss.detach()), tuple(map(_sum, zip(plain[1:], perturbed[1:], behind, strict=True)))

    def _add_up(self, parts: Sequence[tuple[torch.Tensor | None, ...]]) -> None:
        """Put the sums of the parts' gradients into the weights."""
        for weight, *gradients in zip(self._weights, *parts, strict=True):
            weight.grad = _sum(gradients)


def _sum(gradients: Iterable[torch.Tensor | None]) -> torch.Tensor | None:
    """Return the sum of those that there are, None without any."""
    given = [gradient for gradient in gradients if gradient is not None]
    return sum(given[1:], start=given[0]) if given else None

"""What training minimises and how it steps: losses, optimisers and learning-rate schedules, chosen by configuration."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from sortgate.errors import ConfigurationError
from sortgate_training.config import LossConfig, OptimizerConfig, ScheduleConfig
from sortgate_training.imbalance import log_prior
from sortgate_training.rows import RowGradient, RowOptimizer, collect, row_weights

#: Logits ``[batch, labels]`` and targets, as :class:`~sortgate_training.batches.Batch` has them, to a text's mean loss.
Loss = Callable[[Tensor, Tensor], Tensor]


def create_multi_label_loss(
    config: LossConfig, labels: Sequence[str], counts: Sequence[int], texts: int, device: torch.device | None = None
) -> Loss:
    """Return the loss of labels that are given each by itself: their cross-entropies, added up.

    ``class_weights`` weigh the texts that have a label; ``balanced`` makes them weigh as much as those without it.

    Args:
        config: the choice.
        labels: names, in the order of the logits.
        counts: training texts of each label.
        texts: all training texts.
        device: that the logits are on.

    Raises:
        ConfigurationError: a weight for a label that does not exist.
    """
    weight = _weights(config, labels, counts)
    if config.class_weights == "balanced":
        weight = torch.tensor([max(texts - count, 1) / max(count, 1) for count in counts])
    if weight is not None:
        weight = weight.to(device)

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        truth = targets.to(logits.dtype)
        smoothed = truth * (1.0 - config.label_smoothing) + 0.5 * config.label_smoothing
        losses = nn.functional.binary_cross_entropy_with_logits(logits, smoothed, pos_weight=weight, reduction="none")
        if config.name == "focal":
            probability = torch.where(targets, logits, -logits).sigmoid()
            losses = (1.0 - probability).clamp_min(1e-8) ** config.focal_gamma * losses
        return losses.sum(dim=1).mean()

    return loss


def create_loss(
    config: LossConfig, labels: Sequence[str], counts: Sequence[int], device: torch.device | None = None
) -> Loss:
    """Return the loss.

    Args:
        config: the choice.
        labels: names, in the order of the logits.
        counts: training texts of each label.
        device: of the logits.

    Raises:
        ConfigurationError: a weight for a label that does not exist.
    """
    weight = _weights(config, labels, counts)
    if weight is not None:
        # a training text weighs 1 on average. Within a batch nothing is evened out: its parts must add up to it
        texts = torch.tensor(counts, dtype=weight.dtype)
        weight = (weight * texts.sum() / (texts * weight).sum()).to(device)
    plain = _create_plain_loss(config, weight)
    if not config.logit_adjustment:
        return plain
    offset = torch.tensor(config.logit_adjustment * log_prior(counts), dtype=torch.float32, device=device)
    return lambda logits, targets: plain(logits + offset, targets)


def _create_plain_loss(config: LossConfig, weight: Tensor | None) -> Loss:
    smoothing = config.label_smoothing

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        losses = nn.functional.cross_entropy(logits, targets, weight, label_smoothing=smoothing, reduction="none")
        if config.name == "focal":
            probability = logits.softmax(dim=1).gather(1, targets.unsqueeze(1)).squeeze(1)
            losses = (1.0 - probability).clamp_min(1e-8) ** config.focal_gamma * losses
        return losses.mean()

    return loss


def _weights(config: LossConfig, labels: Sequence[str], counts: Sequence[int]) -> Tensor | None:
    if config.class_weights == "none":
        return None
    if config.class_weights == "balanced":
        total = sum(counts)
        return torch.tensor([total / (len(counts) * max(count, 1)) for count in counts])
    unknown = sorted(set(config.class_weights) - set(labels))
    if unknown:
        raise ConfigurationError(f"loss.class_weights names {unknown[0]!r}, which is no label of the data")
    return torch.tensor([config.class_weights.get(label, 1.0) for label in labels])


def create_optimizer(config: OptimizerConfig, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Return the optimiser of dense weights; biases and other vectors are not decayed."""
    listed = list(parameters)
    matrices = [parameter for parameter in listed if parameter.ndim > 1]
    vectors = [parameter for parameter in listed if parameter.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    if config.name == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum, fused=True)
    kind = torch.optim.AdamW if config.name == "adamw" else torch.optim.Adam
    return kind(groups, lr=config.learning_rate, fused=True)


class Optimizer:
    """All of a module's weights: the dense ones, and row by row those of embeddings with sparse gradients."""

    def __init__(self, config: OptimizerConfig, module: nn.Module) -> None:
        self._config = config
        self._sparse = row_weights(module)
        apart = {id(weight) for weight in self._sparse}
        self._listed = [weight for weight in module.parameters() if id(weight) not in apart]
        self._dense = create_optimizer(config, self._listed) if self._listed else None
        self._rows = RowOptimizer(config, self._sparse)
        self.rate = config.learning_rate

    def gradients(self) -> list[RowGradient]:
        """Return those of embeddings' rows, after all are clipped to the norm that the configuration bounds."""
        rows = collect(self._sparse)
        if self._config.gradient_clip:
            dense = [weight.grad for weight in self._listed if weight.grad is not None]
            clip([*dense, *(row.values for row in rows)], self._config.gradient_clip)
        return rows

    def step(self, rows: Sequence[RowGradient], factor: float) -> None:
        """Move the weights, with the learning rate times ``factor``."""
        self.rate = self._config.learning_rate * factor
        if self._dense is not None:
            for group in self._dense.param_groups:
                group["lr"] = self.rate
            self._dense.step()
        self._rows.step(rows, self.rate)

    def state(self) -> dict[str, Tensor]:
        """Return what a checkpoint needs, by name."""
        tensors = {f"rows.{name}": tensor for name, tensor in self._rows.state().items()}
        for number, weight in enumerate(self._listed):
            states = self._dense.state.get(weight, {}) if self._dense is not None else {}
            tensors |= {f"dense.{number}.{name}": value for name, value in states.items() if value is not None}
        return tensors

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Go on from :meth:`state`."""
        self._rows.restore({name.removeprefix("rows."): tensor for name, tensor in tensors.items()})
        for number, weight in enumerate(self._listed):
            start = f"dense.{number}."
            states = {
                name.removeprefix(start): value.to(weight.device)
                for name, value in tensors.items()
                if name.startswith(start)
            }
            if self._dense is not None and states:
                self._dense.state[weight] = states


@torch.no_grad()
def clip(gradients: Sequence[Tensor], bound: float) -> Tensor:
    """Scale all gradients down, in place, so that their common norm is ``bound`` at most; returns what it was."""
    norms = torch._foreach_norm(list(gradients))
    total: Tensor = torch.linalg.vector_norm(torch.stack(norms))
    torch._foreach_mul_(list(gradients), (bound / (total + 1e-6)).clamp(max=1.0))
    return total


def create_schedule(config: ScheduleConfig, steps: int) -> Callable[[int], float]:
    """Return the learning rate's factor by step (from 0): linear warm-up, then cosine or linear decay, or constant."""
    warm = max(1, round(steps * config.warmup)) if config.warmup else 0

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        done = min(1.0, (step - warm) / max(1, steps - warm))
        if config.name == "cosine":
            return 0.5 * (1.0 + math.cos(math.pi * done))
        return 1.0 - done if config.name == "linear" else 1.0

    return factor

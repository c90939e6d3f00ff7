"""What training minimises and how it steps: losses, optimisers and learning-rate schedules, chosen by configuration."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from sortgate.errors import ConfigurationError
from sortgate_training.config import LossConfig, OptimizerConfig, ScheduleConfig

#: Logits ``[batch, labels]`` and targets, as :class:`~sortgate_training.batches.Batch` has them, to a text's mean loss.
Loss = Callable[[Tensor, Tensor], Tensor]


def create_multi_label_loss(config: LossConfig, labels: Sequence[str], counts: Sequence[int], texts: int) -> Loss:
    """Return the loss of labels that are given each by itself: their cross-entropies, added up.

    ``class_weights`` weigh the texts that have a label; ``balanced`` makes them weigh as much as those without it.

    Args:
        config: the choice.
        labels: names, in the order of the logits.
        counts: training texts of each label.
        texts: all training texts.

    Raises:
        ConfigurationError: a weight for a label that does not exist.
    """
    weight = _weights(config, labels, counts)
    if config.class_weights == "balanced":
        weight = torch.tensor([max(texts - count, 1) / max(count, 1) for count in counts])

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        truth = targets.to(logits.dtype)
        smoothed = truth * (1.0 - config.label_smoothing) + 0.5 * config.label_smoothing
        losses = nn.functional.binary_cross_entropy_with_logits(logits, smoothed, pos_weight=weight, reduction="none")
        if config.name == "focal":
            probability = torch.where(targets, logits, -logits).sigmoid()
            losses = (1.0 - probability).clamp_min(1e-8) ** config.focal_gamma * losses
        return losses.sum(dim=1).mean()

    return loss


def create_loss(config: LossConfig, labels: Sequence[str], counts: Sequence[int]) -> Loss:
    """Return the loss.

    Args:
        config: the choice.
        labels: names, in the order of the logits.
        counts: training texts of each label.

    Raises:
        ConfigurationError: a weight for a label that does not exist.
    """
    weight = _weights(config, labels, counts)
    if config.name == "cross_entropy":
        return nn.CrossEntropyLoss(weight=weight, label_smoothing=config.label_smoothing)

    def focal(logits: Tensor, targets: Tensor) -> Tensor:
        losses = nn.functional.cross_entropy(
            logits, targets, weight=weight, label_smoothing=config.label_smoothing, reduction="none"
        )
        probability = logits.softmax(dim=1).gather(1, targets.unsqueeze(1)).squeeze(1)
        return ((1.0 - probability).clamp_min(1e-8) ** config.focal_gamma * losses).mean()

    return focal


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


def create_optimizer(config: OptimizerConfig, module: nn.Module) -> torch.optim.Optimizer:
    """Return the optimiser; biases and other vectors are not decayed."""
    matrices = [parameter for parameter in module.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in module.parameters() if parameter.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    if config.name == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum, fused=True)
    kind = torch.optim.AdamW if config.name == "adamw" else torch.optim.Adam
    # The embedding is most of the weights, and few of its rows move in a step: fused, its dense update is cheap enough.
    return kind(groups, lr=config.learning_rate, fused=True)


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

"""What a search may change: a few keys of the configuration, each with a few values worth telling apart."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from sortgate.errors import ConfigurationError
from sortgate_training.config import TrainingConfig
from sortgate_training.data import Corpus
from sortgate_training.imbalance import describe_imbalance

#: Values in their order. A step changes a figure by about as much as another seed does: finer ones would be noise.
LADDERS: dict[str, tuple[float, ...]] = {
    "optimizer.learning_rate": (5e-4, 7e-4, 1e-3, 1.4e-3, 2e-3, 2.8e-3, 4e-3, 5.6e-3, 8e-3),
    "optimizer.weight_decay": (0.0, 0.003, 0.01, 0.03, 0.1, 0.3),
    "optimizer.averaging": (0.0, 0.99, 0.995, 0.998, 0.999),
    "model.hidden": (16, 24, 32, 48, 64, 96, 128, 192, 256),
    "model.embedding": (32, 64, 96, 128, 192, 256),
    "model.dropout": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7),
    "model.embedding_dropout": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5),
    "model.token_dropout": (0.0, 0.05, 0.1, 0.15, 0.2, 0.3),
    "loss.label_smoothing": (0.0, 0.05, 0.1, 0.15),
    "vocabulary.min_count": (1, 2, 3, 5),
}
#: Values without an order.
CHOICES: dict[str, tuple[Any, ...]] = {
    "model.cell": ("lstm", "gru"),
    "ngrams.enabled": (True, False),
    "loss.class_weights": ("none", "balanced"),
}
#: Keys that a file decides on, which the network starts from.
_SHAPED_BY = {
    "model.vectors": ("model.embedding",),
    "model.pretrained": ("model.cell", "model.hidden", "model.embedding"),
}
#: Keys that a neighbour changes, and steps on a ladder, at most.
_CHANGES, _STEPS = 3, 2


class Dimension(msgspec.Struct, frozen=True):
    """A key, its values, and the number of the value that the search starts from."""

    key: str
    values: list[Any]
    start: int
    ordered: bool

    def near(self, at: int, generator: random.Random) -> int:
        """Return the number of another value: a step or two away, or any where there is no order."""
        span = _STEPS if self.ordered else len(self.values)
        numbers = range(max(0, at - span), min(len(self.values), at + span + 1))
        return generator.choice([number for number in numbers if number != at])


def search_space(config: TrainingConfig, train: Corpus, fixed: Collection[str] = ()) -> list[Dimension]:
    """Return the dimensions; the start's own values are always among them.

    Class weights are tried where labels are unequal and nothing else makes rare ones count for more, a GRU where the
    bundle need not be int8, and other shapes where no file of vectors decides on them.

    Args:
        config: the start.
        train: the training texts.
        fixed: keys that keep their value.

    Raises:
        ConfigurationError: a fixed key is none that a search changes, or none is left.
    """
    for key in fixed:
        if key not in LADDERS and key not in CHOICES:
            raise ConfigurationError(f"--fix {key}: a search changes {', '.join([*LADDERS, *CHOICES])}")
    left_out = set(fixed)
    if config.precision == "int8":
        left_out.add("model.cell")
    for key, shaped in _SHAPED_BY.items():
        left_out |= set(shaped if value_of(config, key) else ())
    favours = config.favours()
    if favours != ["loss.class_weights"] and (favours or describe_imbalance(train.counts()) is None):
        left_out.add("loss.class_weights")
    space = []
    for key, values in {**LADDERS, **CHOICES}.items():
        if key not in left_out:
            own, ordered = value_of(config, key), key in LADDERS
            known = [*values] if own in values else sorted([*values, own]) if ordered else [*values, own]
            space.append(Dimension(key, known, known.index(own), ordered))
    if not space:
        raise ConfigurationError("--fix: every key is fixed, so there is nothing to search")
    return space


def start_of(space: list[Dimension]) -> dict[str, int]:
    """Return key → number of the start's value."""
    return {dimension.key: dimension.start for dimension in space}


def neighbour(space: list[Dimension], centre: Mapping[str, int], generator: random.Random) -> dict[str, int]:
    """Return ``centre`` with a few keys moved a little: on little data about a search, the best guess there is."""
    numbers = dict(centre)
    for dimension in generator.sample(space, min(_CHANGES, len(space))):
        numbers[dimension.key] = dimension.near(numbers[dimension.key], generator)
    return numbers


def cheapest(space: list[Dimension]) -> list[dict[str, int]]:
    """Return the smallest networks, one for each cell, all else as in the start: what costs least to serve."""
    numbers, cells = start_of(space), [0]
    for dimension in space:
        match dimension.key:
            case "model.hidden" | "model.embedding":
                numbers[dimension.key] = 0
            case "vocabulary.min_count":
                numbers[dimension.key] = len(dimension.values) - 1
            case "ngrams.enabled":
                numbers[dimension.key] = dimension.values.index(False)
            case "model.cell":
                cells = list(range(len(dimension.values)))
    if "model.cell" not in numbers:
        return [numbers]
    return [{**numbers, "model.cell": cell} for cell in cells]


def values_of(space: list[Dimension], numbers: Mapping[str, int]) -> dict[str, Any]:
    """Return key → value of what differs from the start."""
    return {
        dimension.key: dimension.values[numbers[dimension.key]]
        for dimension in space
        if numbers[dimension.key] != dimension.start
    }


def with_values(config: TrainingConfig, values: Mapping[str, Any]) -> TrainingConfig:
    """Return the configuration with ``table.key`` → value set.

    Raises:
        ConfigurationError: these values do not go together.
    """
    try:
        for key, value in values.items():
            table, _, name = key.partition(".")
            config = replace(config, **{table: replace(getattr(config, table), **{name: value})})
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    return config


def value_of(config: TrainingConfig, key: str) -> Any:
    """Return the value of ``table.key``."""
    table, _, name = key.partition(".")
    return getattr(getattr(config, table), name)

"""What a search may change."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from sortgate.errors import ConfigurationError
from sortgate_training.config import TrainingConfig
from sortgate_training.data import Corpus
from sortgate_training.loading import known_keys, load_config
from sortgate_training.tuning.space import (
    CHOICES,
    LADDERS,
    cheapest,
    neighbour,
    search_space,
    start_of,
    value_of,
    values_of,
    with_values,
)


def corpus(**counts: int) -> Corpus:
    labels = [label for label, count in counts.items() for _ in range(count)]
    return Corpus([f"text {row}" for row in range(len(labels))], labels, "x.csv", Path("x.csv"), 0)


def test_every_key_exists_and_takes_every_value() -> None:
    for key, values in {**LADDERS, **CHOICES}.items():
        assert key in known_keys()
        for value in values:
            assert load_config(overrides={key: value}) == with_values(TrainingConfig(), {key: value})
    assert all(list(values) == sorted(values) for values in LADDERS.values())


def test_the_start_is_in_the_space_whatever_it_is() -> None:
    config = load_config(assignments=["model.hidden=77", "optimizer.learning_rate=1", "loss.class_weights={a=2.0}"])
    space = search_space(config, corpus(a=5, b=5))
    assert values_of(space, start_of(space)) == {}
    for dimension in space:
        assert dimension.values[dimension.start] == value_of(config, dimension.key)
        if dimension.ordered:
            assert dimension.values == sorted(dimension.values)
    assert with_values(config, {}) == config


def test_a_neighbour_is_near_and_never_the_start() -> None:
    space = search_space(TrainingConfig(), corpus(a=5, b=5))
    for seed in range(50):
        numbers = neighbour(space, start_of(space), random.Random(seed))
        changed = [one for one in space if numbers[one.key] != one.start]
        assert 1 <= len(changed) <= 3
        assert all(abs(numbers[one.key] - one.start) <= 2 for one in changed if one.ordered)


def test_what_does_not_apply_is_left_out() -> None:
    def keys(config: TrainingConfig, train: Corpus, *fixed: str) -> set[str]:
        return {dimension.key for dimension in search_space(config, train, fixed)}

    even, uneven = corpus(a=5, b=5), corpus(a=51, b=5)
    assert "loss.class_weights" not in keys(TrainingConfig(), even)
    assert "loss.class_weights" in keys(TrainingConfig(), uneven)
    assert "model.cell" in keys(TrainingConfig(), even)
    assert "model.cell" not in keys(load_config(overrides={"precision": "int8"}), even)
    assert "model.hidden" not in keys(TrainingConfig(), even, "model.hidden")
    # whatever else makes rare labels count for more stays alone
    assert "loss.class_weights" not in keys(load_config(overrides={"sampling": "balanced"}), uneven)
    assert "loss.class_weights" in keys(load_config(overrides={"loss.class_weights": "balanced"}), even)
    # and a file to start from decides on the network's shape
    assert "model.embedding" not in keys(load_config(overrides={"model.vectors": "v.txt"}), even)
    assert "model.hidden" in keys(load_config(overrides={"model.vectors": "v.txt"}), even)
    pretrained = keys(load_config(overrides={"model.pretrained": "p.npz"}), even)
    assert not pretrained & {"model.cell", "model.hidden", "model.embedding"}


def test_values_that_do_not_go_together_are_one_sentence() -> None:
    config = load_config(overrides={"sampling": "balanced"})
    with pytest.raises(ConfigurationError, match=r"loss\.class_weights and sampling each make rare labels"):
        with_values(config, {"loss.class_weights": "balanced"})


def test_a_key_that_cannot_be_fixed_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"--fix model.hiden: a search changes optimizer.learning_rate"):
        search_space(TrainingConfig(), corpus(a=5, b=5), ["model.hiden"])
    with pytest.raises(ConfigurationError, match="nothing to search"):
        search_space(TrainingConfig(), corpus(a=5, b=5), [*LADDERS, *CHOICES])


def test_the_cheapest_of_each_cell() -> None:
    space = search_space(TrainingConfig(), corpus(a=5, b=5))
    found = [values_of(space, numbers) for numbers in cheapest(space)]
    small = {"model.hidden": 16, "model.embedding": 32, "vocabulary.min_count": 5, "ngrams.enabled": False}
    assert found == [small, {**small, "model.cell": "gru"}]
    fixed = search_space(TrainingConfig(), corpus(a=5, b=5), ["model.cell", "ngrams.enabled"])
    assert len(cheapest(fixed)) == 1

"""Sizes, limits, and costs measured before training."""

from __future__ import annotations

import numpy as np
import pytest

from sortgate.errors import ConfigurationError
from sortgate_training.batches import EncodedTexts
from sortgate_training.config import ModelConfig
from sortgate_training.export import export_graph
from sortgate_training.model import HybridClassifier, RecurrentClassifier
from sortgate_training.tuning.cost import Cost, Limits, measure, parse_size


@pytest.mark.parametrize(
    ("text", "size"), [("20MB", 20_000_000), ("500kb", 500_000), ("1.5 GiB", 3 << 29), ("64KiB", 1 << 16), ("9b", 9)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "20", "MB", "0MB", "-1MB", "20 MBit", "1e3MB", "nan MB", "20MB 30MB"])
def test_bad_sizes(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is no size: write 500kB, 20MB or 1GiB"):
        parse_size(text)


def test_what_is_over_is_said() -> None:
    limits = Limits(0.1, 1_000_000)
    assert limits.missed(Cost(0.1, 1_000_000)) == ""
    assert limits.missed(Cost(0.25, 10)) == "0.25 ms > 0.1 ms"
    assert limits.missed(Cost(0.25, 2_500_000)) == "0.25 ms > 0.1 ms, 2.5 MB > 1 MB"
    assert not Limits()
    assert Limits(None, 5)


def test_costs_are_those_of_the_exported_model() -> None:
    texts = EncodedTexts([[1, 2, 3], [4]], [0, 1])
    small, large = (
        HybridClassifier(RecurrentClassifier(ModelConfig(hidden=hidden, embedding=16), 50, 2)) for hidden in (8, 256)
    )
    costs = [measure(module, texts) for module in (small, large)]
    assert costs[0].bytes == len(export_graph(small).SerializeToString())
    assert 0 < costs[0].ms < costs[1].ms / 3
    quantized = measure(large, texts, "int8")
    assert quantized.bytes < costs[1].bytes / 2
    assert np.isfinite(quantized.ms)

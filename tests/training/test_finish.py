"""Golden texts: of many lengths, bounded, edge cases included."""

from __future__ import annotations

from sortgate_training.finish import GOLDEN_CHARACTERS, GOLDEN_EDGES, GOLDEN_TEXTS, golden_texts


def test_golden_texts_are_of_many_lengths() -> None:
    texts = ["x" * length for length in range(1, 5000)] * 2
    chosen = golden_texts(texts)
    lengths = [len(text) for text in chosen[: -len(GOLDEN_EDGES)]]
    assert len(lengths) == len(set(lengths)) == GOLDEN_TEXTS
    assert (min(lengths), max(lengths)) == (1, GOLDEN_CHARACTERS)
    assert tuple(chosen[-len(GOLDEN_EDGES) :]) == GOLDEN_EDGES


def test_few_or_only_long_texts() -> None:
    assert golden_texts(["b", "a"])[:2] == ["a", "b"]
    assert golden_texts(["x" * 5000]) == list(GOLDEN_EDGES)

"""NumPy computes what ONNX Runtime computes, and its gradients are the slopes of that."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from sortgate.explain.network import run_network
from sortgate.explain.ngrams import token_logits
from sortgate.explain.weights import read_weights
from sortgate.inference.session import Session
from sortgate_training.graph import Cell, GraphSpec, build_graph, random_tables, random_weights
from sortgate_training.precision import quantize

VOCABULARY, LABELS, TIME = 40, 3, 17
CELLS: tuple[Cell, ...] = ("lstm", "gru")
SHAPES = [GraphSpec(*shape) for shape in product(CELLS, (5,), (1, 2), (True, False))]


def texts(seed: int = 0) -> np.ndarray:
    """Return ids ``[batch, time]``, some of them again and again, so that frequencies are damped."""
    generator = np.random.default_rng(seed)
    return generator.choice([1, 2, 3, 4, 5, 6, 30, 31], (6, TIME), p=[0.1, 0.5, 0.1, 0.1, 0.1, 0.05, 0.03, 0.02])


@pytest.mark.parametrize("spec", SHAPES, ids=str)
@pytest.mark.parametrize("pairs", [None, 600])
def test_the_logits_are_those_of_onnx_runtime(spec: GraphSpec, pairs: int | None) -> None:
    tables = None if pairs is None else random_tables(VOCABULARY, LABELS, pairs)
    model = build_graph(random_weights(VOCABULARY, LABELS, spec, 4), spec, tables).SerializeToString()
    ids = texts()
    expected = Session(model).run(ids.astype(np.int32), np.full(len(ids), TIME, dtype=np.int32))
    weights = read_weights(model, spec.cell)
    found, _ = run_network(weights.embedding[ids.T].astype(np.float64), weights)
    if weights.tables:
        parts = [token_logits(row, weights.tables) for row in ids]
        found += np.array([tokens.sum(axis=0) + bias for tokens, bias in parts])
    assert bool(weights.tables) == (pairs is not None)
    np.testing.assert_allclose(found, expected, atol=2e-4, rtol=1e-5)


@pytest.mark.parametrize("spec", SHAPES, ids=str)
def test_the_gradients_are_slopes(spec: GraphSpec) -> None:
    model = build_graph(random_weights(VOCABULARY, LABELS, spec, 4), spec).SerializeToString()
    weights = read_weights(model, spec.cell)
    vectors = weights.embedding[texts().T].astype(np.float64)
    generator = np.random.default_rng(1)
    wanted = generator.standard_normal((vectors.shape[1], LABELS))
    _, gradients = run_network(vectors, weights)
    found = gradients(wanted)
    assert found.shape == vectors.shape
    for _ in range(20):
        way = generator.standard_normal(vectors.shape)
        step = 1e-6
        ahead, behind = (run_network(vectors + sign * step * way, weights)[0] for sign in (1, -1))
        assert ((ahead - behind) * wanted).sum() / (2 * step) == pytest.approx((found * way).sum(), rel=1e-4, abs=1e-6)


def test_int8_weights_are_multiplied_out() -> None:
    spec = GraphSpec("lstm", 5, 2)
    graph = build_graph(random_weights(VOCABULARY, LABELS, spec, 4), spec)
    exact = read_weights(graph.SerializeToString(), "lstm")
    rounded = read_weights(quantize(graph), "lstm")
    for one, other in zip(exact.layers, rounded.layers, strict=True):
        for which in ("w", "r"):
            scale = np.abs(getattr(one, which)).max() / 127
            np.testing.assert_allclose(getattr(other, which), getattr(one, which), atol=0.51 * scale)
        np.testing.assert_array_equal(one.b, other.b)

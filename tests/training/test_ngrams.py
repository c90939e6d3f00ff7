"""The n-gram path: its tables say what the fitted regression says, and pairs are found exactly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax

from sortgate.inference.session import Session
from sortgate.vocabulary import Vocabulary
from sortgate_training.batches import EncodedTexts
from sortgate_training.calibration import negative_log_likelihood
from sortgate_training.config import NgramConfig
from sortgate_training.graph import GraphSpec, build_graph, random_tables, random_weights
from sortgate_training.mixing import mix
from sortgate_training.model import NgramPath
from sortgate_training.ngrams import _Features, character_ngrams, fit_ngrams
from sortgate_training.pairs import NO_KEY, build_pair_table, pair_keys
from sortgate_training.regression import Fit, Penalty
from sortgate_training.tables import damped

WORDS = ["good", "goods", "bad", "badly", "not", "very", "film", "plot", "a", "the"]
SIZE = len(WORDS) + 2


def make(count: int, labels: int, seed: int) -> EncodedTexts:
    """Random texts, unknown tokens among them."""
    generator = np.random.default_rng(seed)
    ids = [generator.integers(1, SIZE, generator.integers(1, 12)).tolist() for _ in range(count)]
    return EncodedTexts(ids, generator.integers(0, labels, count).tolist())


@settings(deadline=None)  # building a table takes what the machine has left
@given(st.sets(st.tuples(st.integers(2, 400), st.integers(2, 400)), max_size=300), st.integers(401, 100_000))
def test_every_pair_is_found_and_no_other(pairs: set[tuple[int, int]], size: int) -> None:
    keys = np.array(sorted(left * size + right for left, right in pairs), dtype=np.int64)
    table = build_pair_table(keys, size)
    rows = table.rows(keys)
    assert rows.tolist() == list(range(1, len(keys) + 1)), "half full, each of them has a place"
    others = np.setdiff1d(np.concatenate([keys + 1, keys + size, [NO_KEY, 0]]), keys)
    assert not table.rows(others).any()


def test_a_large_table_holds_nearly_all() -> None:
    generator = np.random.default_rng(0)
    keys = np.unique(generator.integers(2, 50_000, (200_000, 2)) @ np.array([50_000, 1]))
    rows = build_pair_table(keys, 50_000).rows(keys)
    assert (rows > 0).mean() > 0.999
    assert np.array_equal(rows[rows > 0], np.flatnonzero(rows > 0) + 1)


def test_pairs_do_not_reach_across_texts_or_unknown_tokens() -> None:
    ids, rows = np.array([2, 3, 1, 4, 5, 6]), np.array([0, 0, 0, 0, 1, 1])
    assert pair_keys(ids, rows, 10).tolist() == [23, NO_KEY, NO_KEY, NO_KEY, 56, NO_KEY]


@pytest.mark.parametrize("labels", [2, 3])
def test_tables_are_the_regression(labels: int) -> None:
    learned, judged = make(400, labels, 0), make(80, labels, 1)
    config = NgramConfig()
    features = _Features(learned, Vocabulary(WORDS), config)
    x = features.matrix(judged)
    coefficients = np.random.default_rng(2).standard_normal((labels, x.shape[1]))
    intercept = np.arange(labels) / 3
    expected = (x @ torch.from_numpy(coefficients.T.astype(np.float32))).numpy() + intercept
    tables = features.tables(Fit((Penalty(1.0),), coefficients, intercept))
    np.testing.assert_allclose(tables.logits(judged), expected, atol=1e-4)
    padded = judged.batch(range(len(judged)))
    np.testing.assert_allclose(NgramPath(tables)(padded.ids).numpy(), expected, atol=1e-4)
    np.testing.assert_allclose(tables.scaled(0.3).logits(judged), 0.3 * expected, atol=1e-4)


def test_repeats_count_as_a_logarithm_in_steps() -> None:
    counts = np.array([1, 2, 3, 4, 7, 8, 800])
    np.testing.assert_allclose(damped(counts), 1 + np.log(2) * np.array([0, 1, 1, 2, 2, 3, 3]))
    tables = random_tables(SIZE, 3, 30)
    # of a token and a pair each count around the steps, padding behind them
    texts = EncodedTexts([[2] * count + [3] for count in range(1, 12)] + [[4, 5] * 9, [1]], [0] * 13)
    batch = texts.batch(range(len(texts)))
    np.testing.assert_allclose(NgramPath(tables)(batch.ids).numpy(), tables.logits(texts), atol=1e-5)
    model = build_graph(random_weights(SIZE, 3, GraphSpec("lstm", 2), 3), GraphSpec("lstm", 2), tables)
    session = Session(model.SerializeToString())
    alone = build_graph(random_weights(SIZE, 3, GraphSpec("lstm", 2), 3), GraphSpec("lstm", 2))
    recurrent = Session(alone.SerializeToString())
    ids, lengths = batch.ids.numpy().astype(np.int32), batch.lengths.numpy().astype(np.int32)
    found = session.run(ids, lengths) - recurrent.run(ids, lengths)
    np.testing.assert_allclose(found, tables.logits(texts), atol=1e-4)


def test_pairs_of_words_are_learned() -> None:
    words = {word: number for number, word in enumerate(WORDS, 2)}
    both = ["the film not good the plot bad", "the film not bad the plot good"]  # the same words
    ids = [[words[word] for word in both[number % 2].split()] for number in range(60)]
    texts = EncodedTexts(ids, [number % 2 for number in range(60)])
    tables = fit_ngrams(texts, texts, Vocabulary(WORDS), 2, NgramConfig())
    assert tables.logits(texts).argmax(axis=1).tolist() == texts.targets.tolist()
    blind = fit_ngrams(texts, texts, Vocabulary(WORDS), 2, NgramConfig(max_pairs=0))
    assert np.ptp(blind.logits(texts), axis=0).max() < 1e-6


def test_character_ngrams_mark_the_ends_of_a_word() -> None:
    assert list(character_ngrams("ab", (2, 3))) == ["\x02a", "ab", "b\x03", "\x02ab", "ab\x03"]


@settings(max_examples=25, deadline=None)
@example(447, 2, 3.0, 1.0)  # one factor ends at its bound
@given(st.integers(0, 10_000), st.integers(2, 5), st.floats(0.1, 3.0), st.floats(0.1, 3.0))
def test_mixing_is_the_best_of_all_positive_factors(seed: int, labels: int, one: float, other: float) -> None:
    generator = np.random.default_rng(seed)
    first, second = generator.standard_normal((2, 200, labels)).astype(np.float32)
    chances = np.exp(log_softmax(one * first + other * second, axis=1))
    targets = np.array([generator.choice(labels, p=row / row.sum()) for row in chances])
    factors = np.array(mix(first, second, targets))

    def loss(tried: np.ndarray) -> float:
        return negative_log_likelihood(tried[0] * first + tried[1] * second, targets)

    for step in ([0.05, 0], [0, 0.05], [-0.05, 0], [0, -0.05], [0.05, -0.05], [-0.05, 0.05]):
        tried = factors + step
        if (tried >= 0).all() and (tried <= 4).all():
            assert loss(factors) <= loss(tried) + 1e-4


@pytest.mark.parametrize("most", [0, 1, 3, 100])
def test_the_most_frequent_pairs_are_kept_and_no_more(most: int) -> None:
    # pairs 2-3 four times, 4-5 three times, 6-7 and 8-9 twice: a tie at the bound
    texts = EncodedTexts([[2, 3]] * 4 + [[4, 5]] * 3 + [[6, 7]] * 2 + [[8, 9]] * 2, [0, 1] * 5 + [0])
    keys = _Features(texts, Vocabulary(WORDS), NgramConfig(max_pairs=most)).keys
    found = keys.rows(np.array([2 * SIZE + 3, 4 * SIZE + 5, 6 * SIZE + 7, 8 * SIZE + 9])) > 0
    assert found.tolist() == [most > 0, most > 1, most > 2, most > 3]

"""Contributions, against models of which the true ones are known, and against what their method promises."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handmade import WORDS
from sortgate.bundle import ModelInfo
from sortgate.encoded import Encoded
from sortgate.errors import InferenceError
from sortgate.explain import Explanation
from sortgate.inference import Classifier
from sortgate.vocabulary import FIRST_ID
from sortgate_training.graph import GraphSpec, build_graph, random_tables, random_weights
from sortgate_training.pairs import build_pair_table
from sortgate_training.precision import quantize
from sortgate_training.tables import NgramTables

Make = Callable[..., Classifier]
SIZE = len(WORDS) + FIRST_ID
TEXTS = st.lists(st.sampled_from((*WORDS, "unheard")), min_size=1, max_size=30)


def adding_model(values: np.ndarray, steepness: float = 1.0) -> bytes:
    """Return a model whose first logit is the mean of ``tanh(tanh(steepness · value))`` of the tokens, times ten.

    ``values`` are by id. Input and output gates stand open and forget gates shut, so each step of the LSTM knows its
    own token alone.
    """
    gates = np.array([0.0, 0.0, 0.0, steepness], dtype=np.float32)  # input, output, forget, cell
    weights = {
        "embedding": values.astype(np.float32)[:, None],
        "rnn.0.w": gates[None, :, None],
        "rnn.0.r": np.zeros((1, 4, 1), dtype=np.float32),
        "rnn.0.b": np.array([[50.0, 50.0, -50.0, 0.0, 0.0, 0.0, 0.0, 0.0]], dtype=np.float32),
        "output.weight": np.array([[0.0, 10.0], [0.0, 0.0]], dtype=np.float32),  # of the maximum, and of the mean
        "output.bias": np.array([0.3, -0.2], dtype=np.float32),
    }
    return bytes(build_graph(weights, GraphSpec("lstm", 1, bidirectional=False)).SerializeToString())


VALUES = np.concatenate([[0.0, 0.25], np.linspace(-1.5, 2.0, len(WORDS))])


@pytest.fixture(scope="module")
def adding(bundle_of: Make) -> Classifier:
    """A classifier that adds up its tokens."""
    return bundle_of(adding_model(VALUES))


@settings(deadline=None, max_examples=40)
@given(TEXTS)
def test_a_sum_of_tokens_is_told_apart_exactly(adding: Classifier, words: list[str]) -> None:
    found = adding.explain(" ".join(words), label="yes")
    ids = [WORDS.index(word) + FIRST_ID if word in WORDS else 1 for word in words]
    squashed = np.tanh(np.tanh(VALUES))
    truth = 10.0 * (squashed[ids] - squashed[1]) / len(words)
    # of two labels, log-odds are the difference of the logits, so both methods must find the same
    np.testing.assert_allclose([effect.occlusion for effect in found.tokens], truth, atol=1e-4)
    np.testing.assert_allclose([effect.gradient for effect in found.tokens], truth, atol=0.02)
    assert found.log_odds == pytest.approx(0.5 + 10.0 * squashed[ids].mean(), abs=1e-4)
    assert found.score == pytest.approx(1.0 / (1.0 + math.exp(-found.log_odds)), abs=1e-6)


def test_a_step_in_the_path_is_found(bundle_of: Make) -> None:
    """Between the unknown token and ``wa`` the model tips over at one point; evenly spread ones would miss it."""
    values = np.full(SIZE, -1.0)
    values[FIRST_ID] = 0.7
    found = bundle_of(adding_model(values, steepness=3_000.0)).explain("wa", label="yes")
    assert found.gradients is not None
    assert found.gradients.total == pytest.approx(20.0 * math.tanh(1.0), abs=1e-3)
    assert abs(found.gradients.remainder) < 0.2
    assert 32 < found.gradients.points < 200


def test_one_word_alone_decides(bundle_of: Make) -> None:
    """All words but one have the unknown token's vector, in a model that otherwise mixes everything."""
    spec = GraphSpec("gru", 6, 2)
    weights = random_weights(SIZE, 3, spec, 5, seed=4)
    decisive = FIRST_ID + WORDS.index("wf")
    weights["embedding"][:] = weights["embedding"][1]
    weights["embedding"][decisive] += 2.0
    classifier = bundle_of(build_graph(weights, spec).SerializeToString(), labels=("a", "b", "c"), cell="gru")
    found = classifier.explain("wa wb wc wf wd strange we")
    assert found.gradients is not None
    for effect in found.tokens:
        if effect.token == "wf":
            assert effect.gradient == pytest.approx(found.gradients.total, rel=0.01)
            assert effect.occlusion == pytest.approx(found.gradients.total, rel=1e-4)
            assert abs(found.gradients.total) > 0.1
        else:
            assert effect.gradient == 0.0
            assert effect.occlusion == pytest.approx(0.0, abs=1e-5)


def damped(count: int) -> float:
    return 1.0 + math.log(2.0) * sum(count >= step for step in (2, 4, 8))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from(WORDS[:5]), min_size=1, max_size=20))
def test_words_and_pairs_are_told_apart_exactly(counting: Classifier, words: list[str]) -> None:
    found = counting.explain(" ".join(words), label="yes", method="gradients")
    counts, truth = Counter(words), []
    pairs = Counter(pairwise(words))
    for at, word in enumerate(words):
        own = (1 + WORDS.index(word)) * damped(counts[word]) / counts[word]
        for pair in (tuple(words[at - 1 : at + 1]) if at else (), tuple(words[at : at + 2])):
            if pair == ("wa", "wb"):
                own += 0.5 * 7.0 * damped(pairs[pair]) / pairs[pair]
        truth.append(own)
    np.testing.assert_allclose([effect.gradient for effect in found.tokens], truth, rtol=1e-4)
    assert found.gradients is not None
    assert found.gradients.remainder == pytest.approx(0.0, abs=1e-3)


@pytest.fixture(scope="module")
def counting(bundle_of: Make) -> Classifier:
    """A classifier that counts words: the n-th is worth n, and ``wa wb`` side by side 7 more; unknown ones nothing."""
    labels = 2
    words = np.zeros((SIZE, 2 * labels + 2), dtype=np.float32)
    words[FIRST_ID:, 0] = 1e-3 * np.arange(1, len(WORDS) + 1)  # norms are 0, for which the least stands: 1e-3
    pairs = np.zeros((2, labels + 1), dtype=np.float32)
    pairs[1, 0] = 7e-3
    keys = build_pair_table(np.array([FIRST_ID * SIZE + FIRST_ID + 1]), SIZE)
    tables = NgramTables(words, pairs, keys, np.array([0.1, 0.2], dtype=np.float32), ())
    spec = GraphSpec("lstm", 3)
    weights = random_weights(SIZE, labels, spec, 3)
    weights["output.weight"][:] = 0.0
    return bundle_of(build_graph(weights, spec, tables).SerializeToString())


RANDOM = {
    "lstm": {"spec": GraphSpec("lstm", 6), "pairs": None},
    "gru": {"spec": GraphSpec("gru", 6, 2), "pairs": None},
    "hybrid": {"spec": GraphSpec("lstm", 6, bidirectional=False), "pairs": 60},
    "sets": {"spec": GraphSpec("lstm", 6), "pairs": 60, "task": "multi_label"},
}


@pytest.fixture(scope="module", params=RANDOM)
def any_classifier(bundle_of: Make, request: pytest.FixtureRequest) -> Classifier:
    """A classifier that mixes everything with everything."""
    given_: dict[str, Any] = dict(RANDOM[request.param])
    spec, pairs = given_.pop("spec"), given_.pop("pairs")
    tables = None if pairs is None else random_tables(SIZE, 4, pairs).scaled(0.1)
    model = build_graph(random_weights(SIZE, 4, spec, 5, seed=3), spec, tables).SerializeToString()
    return bundle_of(model, labels=("a", "b", "c", "d"), cell=spec.cell, temperature=1.7, **given_)


def log_odds(classifier: Classifier, words: list[str], label: str) -> float:
    """Return the log-odds of a label's probability, the long way round."""
    (encoded,) = classifier.text_path.encode([" ".join(words)])
    assert isinstance(encoded, Encoded)
    score = classifier.scorer.scores(classifier.logits([encoded]))[0, classifier.labels.index(label)]
    return math.log(score / (1.0 - score))


@settings(deadline=None, max_examples=40)
@given(words=TEXTS, label=st.sampled_from("abcd"))
def test_what_the_methods_promise(any_classifier: Classifier, words: list[str], label: str) -> None:
    found = any_classifier.explain(" ".join(words), label=label)
    own = log_odds(any_classifier, words, label)
    nothing = log_odds(any_classifier, ["unheard"] * len(words), label)
    assert found.log_odds == pytest.approx(own, abs=1e-3)
    assert found.reference_log_odds == pytest.approx(nothing, abs=1e-3)
    of = found.gradients
    assert of is not None
    assert of.problem is None
    assert of.total == pytest.approx(own - nothing, abs=2e-3)
    assert of.sum == pytest.approx(sum(effect.gradient or 0.0 for effect in found.tokens))
    assert of.remainder == pytest.approx(of.total - of.sum)
    assert abs(of.remainder) <= 0.01 * max(1.0, abs(of.total)) + 1e-3
    for at, effect in enumerate(found.tokens):
        without = log_odds(any_classifier, [*words[:at], "unheard", *words[at + 1 :]], label)
        assert effect.occlusion == pytest.approx(own - without, abs=1e-3)
        assert effect.without == pytest.approx(1.0 / (1.0 + math.exp(-without)), abs=1e-4)
        so_far = log_odds(any_classifier, words[: at + 1], label)
        assert effect.score == pytest.approx(1.0 / (1.0 + math.exp(-so_far)), abs=1e-4)
    assert found.tokens[-1].score == pytest.approx(found.score, abs=1e-5)


def random_graph() -> onnx.ModelProto:
    spec = GraphSpec("lstm", 6)
    return build_graph(random_weights(SIZE, 2, spec, 5), spec, random_tables(SIZE, 2, 60).scaled(0.1))


def text_of(found: Explanation) -> str:
    return " ".join(effect.token for effect in found.tokens)


def test_int8_contributions_say_what_rounding_leaves_over(bundle_of: Make) -> None:
    info = ModelInfo(precision="int8", flip_rate=0.0, logit_margin=0.5)
    found = bundle_of(quantize(random_graph()), info=info).explain("wa wb wc wd we")
    assert found.gradients is not None
    assert found.gradients.problem is None
    assert found.gradients.remainder == pytest.approx(found.gradients.total - found.gradients.sum)
    assert abs(found.gradients.remainder) < 0.5
    assert text_of(found) == "wa wb wc wd we"


def test_gradients_of_another_graph_are_refused(bundle_of: Make) -> None:
    """The weights are there, but the graph does something else with them: only ONNX Runtime knows what."""
    graph = random_graph()
    (pooled,) = (node for node in graph.graph.node if node.output[0] == "pool.mean")
    pooled.op_type = "Mul"
    classifier = bundle_of(graph.SerializeToString())
    found = classifier.explain("wa wb wc")
    assert found.gradients is not None
    assert found.gradients.problem is not None
    assert "ONNX Runtime" in found.gradients.problem
    assert all(effect.gradient is None and effect.occlusion is not None for effect in found.tokens)
    with pytest.raises(InferenceError, match="gradients are not known"):
        classifier.explain("wa wb wc", method="gradients")


def test_a_model_without_the_usual_weights_has_occlusion_alone(bundle_of: Make) -> None:
    graph = random_graph()
    for tensor in graph.graph.initializer:
        tensor.name = tensor.name.replace("rnn.0.", "other.")
    for node in graph.graph.node:
        for at, name in enumerate(node.input):
            node.input[at] = (
                name.replace("rnn.0.w", "other.w").replace("rnn.0.r", "other.r").replace("rnn.0.b", "other.b")
            )
    found = bundle_of(graph.SerializeToString()).explain("wa wb wc")
    assert found.gradients is not None
    assert "stores no recurrent layer" in str(found.gradients.problem)


@pytest.mark.parametrize(("method", "gradient", "occlusion"), [("gradients", True, False), ("occlusion", False, True)])
def test_only_what_was_asked_for(adding: Classifier, method: Any, gradient: bool, occlusion: bool) -> None:
    found = adding.explain("wa wb", method=method)
    assert all((effect.gradient is not None) == gradient for effect in found.tokens)
    assert all((effect.occlusion is not None) == occlusion for effect in found.tokens)
    assert (found.gradients is not None) == gradient
    assert len(found.contributions) == 2

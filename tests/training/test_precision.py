"""int8: really quantised, its cost measured, refused where it costs too much."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx
import pytest

from sortgate.bundle import ModelInfo, check_onnx
from sortgate.encoded import Encoded
from sortgate.errors import TrainingError
from sortgate.inference.session import Session
from sortgate_training import precision
from sortgate_training.graph import GraphSpec, build_graph, random_weights
from sortgate_training.judging import Cut
from sortgate_training.logits import onnx_logits
from sortgate_training.precision import Deciding, Int8Cost, check_precision, choose_precision, measure_int8, quantize

SPEC = GraphSpec("lstm", hidden=32)
Precision = Literal["float32", "int8", "auto"]
Cell = Literal["lstm", "gru"]
#: The best label always, and what stands for a cut of int8's own.
PLAIN, OTHER = Deciding(1.0, Cut(), lambda *_: Cut()), Cut(abstain=0.5)


@pytest.fixture(scope="module")
def graph() -> onnx.ModelProto:
    return build_graph(random_weights(50, 3, SPEC, embedding=16), SPEC)


@pytest.fixture(scope="module")
def texts() -> list[Encoded]:
    generator = np.random.default_rng(0)
    return [Encoded.of(generator.integers(1, 50, generator.integers(1, 30)).tolist()) for _ in range(200)]


@pytest.fixture(scope="module")
def targets(graph: onnx.ModelProto, texts: list[Encoded]) -> npt.NDArray[np.int64]:
    return onnx_logits(Session(graph.SerializeToString()), texts, rows=32).argmax(axis=1)


def test_the_quantised_model_is_one_that_a_bundle_may_hold(graph: onnx.ModelProto) -> None:
    data = quantize(graph)
    check_onnx(data)
    operators = {node.op_type for node in onnx.load_from_string(data).graph.node}
    assert "DynamicQuantizeLSTM" in operators
    assert "LSTM" not in operators
    assert len(data) < 0.6 * graph.ByteSize()


def test_a_gru_is_not_quantised_and_that_is_noticed() -> None:
    spec = GraphSpec("gru", hidden=8)
    with pytest.raises(TrainingError, match="left the LSTM in float32"):
        quantize(build_graph(random_weights(20, 2, spec, embedding=8), spec))


def test_the_cost_is_measured(graph: onnx.ModelProto, texts: list[Encoded], targets: npt.NDArray[np.int64]) -> None:
    cost = measure_int8(graph.SerializeToString(), quantize(graph), texts, targets, PLAIN)[0]
    assert (cost.texts, cost.judged, cost.figure) == (200, 200, "accuracy")
    assert 0 < cost.logit_margin < 1
    assert 0 <= cost.flip_rate < 0.1
    assert cost.exact == 1.0
    assert 0.9 < cost.quantized <= 1.0
    same = measure_int8(graph.SerializeToString(), graph.SerializeToString(), texts, targets[:50], PLAIN)[0]
    assert (same.flips, same.judged, same.exact, same.quantized) == (0, 50, 1.0, 1.0)
    assert same.logit_margin < 1e-4


def test_each_unit_has_a_scale_of_its_own(graph: onnx.ModelProto) -> None:
    scales = {
        entry.name: list(entry.dims)
        for entry in onnx.load_from_string(quantize(graph)).graph.initializer
        if entry.name.endswith("_scale")
    }
    assert scales == {"rnn.0.w_scale": [2, 128], "rnn.0.r_scale": [2, 128]}


def test_sets_of_labels_are_judged_by_micro_f1(graph: onnx.ModelProto, texts: list[Encoded]) -> None:
    exact = graph.SerializeToString()
    given = onnx_logits(Session(exact), texts, rows=32) >= 0.0
    targets = given.copy()
    targets[:, 0] = False
    halves = Cut(dict.fromkeys("abc", 0.5))
    cost, cut = measure_int8(exact, exact, texts, targets, Deciding(2.0, halves, lambda *_: halves))
    assert cut is halves
    assert cost.figure == "micro-F1"
    expected = 2 * targets.sum() / (given.sum() + targets.sum())
    assert cost.exact == cost.quantized == pytest.approx(expected)
    assert "changes the micro-F1 of 200 validation texts" in str(cost)


def choose(
    asked: Precision, cost: Int8Cost, monkeypatch: pytest.MonkeyPatch, graph: onnx.ModelProto, cell: Cell = "lstm"
) -> precision.Chosen:
    monkeypatch.setattr(precision, "measure_int8", lambda *_: (cost, OTHER))
    targets = np.zeros(cost.judged, dtype=np.int64)
    return choose_precision(asked, graph, ModelInfo(cell=cell), [Encoded.of([1])] * cost.texts, targets, PLAIN)


#: Both figures at their bounds, which floating point puts a hair beyond: 0.9 - 0.898 > 0.002.
GOOD = Int8Cost(texts=1000, flips=3, judged=500, exact=0.9, quantized=0.898, logit_margin=0.1)


@pytest.mark.parametrize("asked", ["int8", "auto"])
def test_a_faithful_int8_model_is_taken(
    asked: Precision, monkeypatch: pytest.MonkeyPatch, graph: onnx.ModelProto
) -> None:
    chosen = choose(asked, GOOD, monkeypatch, graph)
    assert (chosen.info.precision, chosen.info.flip_rate, chosen.info.logit_margin) == ("int8", 0.003, 0.1)
    assert chosen.reason == (
        "int8 is served: int8 changes the accuracy of 500 validation texts by -0.20 points (it may lose 0.2), and "
        "0.30% of the answers to 1,000 held-out texts depend on the batch (0.3% may)"
    )
    assert chosen.cut is OTHER
    assert chosen.facts["asked"] == asked
    assert (chosen.facts["flip_rate"], chosen.facts["exact"], chosen.facts["quantized"]) == (0.003, 0.9, 0.898)


FLIPS, LOSES = replace(GOOD, flips=4), replace(GOOD, quantized=0.897)


@pytest.mark.parametrize("cost", [FLIPS, LOSES])
def test_another_is_refused_or_left(cost: Int8Cost, monkeypatch: pytest.MonkeyPatch, graph: onnx.ModelProto) -> None:
    with pytest.raises(
        TrainingError, match=r"int8 is refused: int8 changes the accuracy .* use --precision float32 or auto"
    ):
        choose("int8", cost, monkeypatch, graph)
    chosen = choose("auto", cost, monkeypatch, graph)
    assert chosen.info.precision == "float32"
    assert chosen.model == graph.SerializeToString()
    assert chosen.cut is PLAIN.cut
    assert chosen.reason.startswith("float32 is served: int8 changes the accuracy of 500")


def test_few_validation_texts_decide_nothing(monkeypatch: pytest.MonkeyPatch, graph: onnx.ModelProto) -> None:
    few = replace(GOOD, judged=499, quantized=0.9)
    chosen = choose("auto", few, monkeypatch, graph)
    assert chosen.info.precision == "float32"
    assert chosen.reason == (
        "float32 is served: 499 validation texts are too few to tell what int8 costs, since one is 0.20 points and "
        "0.2 may be lost; 500 are enough"
    )
    assert choose("int8", few, monkeypatch, graph).info.precision == "int8"


def test_no_int8_gru(monkeypatch: pytest.MonkeyPatch, graph: onnx.ModelProto) -> None:
    with pytest.raises(TrainingError, match="no int8 GRU"):
        check_precision("int8", "gru")
    check_precision("auto", "gru")
    chosen = choose("auto", GOOD, monkeypatch, graph, cell="gru")
    assert (chosen.info.precision, chosen.reason) == ("float32", "float32 is served: ONNX Runtime has no int8 GRU")


def test_float32_says_nothing(monkeypatch: pytest.MonkeyPatch, graph: onnx.ModelProto) -> None:
    chosen = choose("float32", GOOD, monkeypatch, graph)
    assert (chosen.info, chosen.reason, chosen.facts) == (ModelInfo(), "", {})


def test_no_answer_is_an_answer_that_may_depend_on_the_batch(
    graph: onnx.ModelProto, texts: list[Encoded], targets: npt.NDArray[np.int64]
) -> None:
    """Best labels hardly change with the batch; whether there is an answer does, at a border among the scores."""
    exact, int8 = graph.SerializeToString(), quantize(graph)
    logits = onnx_logits(Session(int8), texts, rows=1)

    def middle(scaled: npt.NDArray[Any], _: npt.NDArray[Any]) -> Cut:
        chances = np.exp(scaled - scaled.max(axis=1, keepdims=True)).astype(np.float64)
        return Cut(abstain=float(np.sort((chances / chances.sum(axis=1, keepdims=True)).max(axis=1))[100]))

    always, _ = measure_int8(exact, int8, texts, targets, PLAIN)
    cost, cut = measure_int8(exact, int8, texts, targets, Deciding(1.0, middle(logits, targets), middle))
    assert cut == middle(logits, targets)
    assert cost.flips > always.flips
    assert cost.quantized == pytest.approx((cut.answers(logits) == targets).mean())
    assert 0.3 < cost.quantized < 0.6  # half have no answer


def test_a_goal_that_int8_misses_leaves_float32(
    graph: onnx.ModelProto, texts: list[Encoded], targets: npt.NDArray[np.int64]
) -> None:
    def fail(*_: object) -> Cut:
        raise TrainingError("no score reaches precision>=0.95 on the validation texts: set a lower abstain.goal")

    texts, targets = texts * 3, np.tile(targets, 3)
    deciding = Deciding(1.0, OTHER, fail)
    chosen = choose_precision("auto", graph, ModelInfo(), texts, targets, deciding)
    assert (chosen.info.precision, chosen.cut) == ("float32", OTHER)
    assert chosen.reason.startswith("float32 is served: of int8, no score reaches precision>=0.95")
    with pytest.raises(TrainingError, match="int8 is refused: no score reaches"):
        choose_precision("int8", graph, ModelInfo(), texts, targets, deciding)

"""int8: really quantised, its cost measured, refused where it costs too much."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
import pytest

from sortgate.bundle import ModelInfo, check_onnx
from sortgate.errors import TrainingError
from sortgate.inference.session import Session
from sortgate.textpath import Encoded
from sortgate_training import precision
from sortgate_training.graph import GraphSpec, build_graph, random_weights
from sortgate_training.logits import onnx_logits
from sortgate_training.precision import Int8Cost, check_precision, choose_precision, measure_int8, quantize

SPEC = GraphSpec("lstm", hidden=32)


@pytest.fixture(scope="module")
def graph() -> onnx.ModelProto:
    return build_graph(random_weights(50, 3, SPEC, embedding=16), SPEC)


@pytest.fixture(scope="module")
def texts() -> list[Encoded]:
    generator = np.random.default_rng(0)
    return [Encoded(generator.integers(1, 50, generator.integers(1, 30)).tolist()) for _ in range(200)]


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
    cost = measure_int8(graph.SerializeToString(), quantize(graph), texts, targets)
    assert cost.texts == 200
    assert 0 < cost.logit_margin < 1
    assert 0 <= cost.flip_rate < 0.1
    same = measure_int8(graph.SerializeToString(), graph.SerializeToString(), texts, targets)
    assert same.flip_rate == same.accuracy_loss == 0
    assert same.logit_margin < 1e-4


def choose(
    asked: str, cost: Int8Cost, monkeypatch: pytest.MonkeyPatch, graph: onnx.ModelProto, cell: str = "lstm"
) -> precision.Chosen:
    monkeypatch.setattr(precision, "measure_int8", lambda *_: cost)
    info = ModelInfo(cell=cell)  # type: ignore[arg-type]
    return choose_precision(asked, graph, info, [Encoded([1])], np.array([0]))  # type: ignore[arg-type]


GOOD = Int8Cost(1000, 0.003, 0.1, 0.003)


@pytest.mark.parametrize("asked", ["int8", "auto"])
def test_a_faithful_int8_model_is_taken(asked: str, monkeypatch: pytest.MonkeyPatch, graph: onnx.ModelProto) -> None:
    chosen = choose(asked, GOOD, monkeypatch, graph)
    assert (chosen.info.precision, chosen.info.flip_rate, chosen.info.logit_margin) == ("int8", 0.003, 0.1)
    assert chosen.reason.startswith("int8: on 1000 held-out texts 0.30% of the int8 labels depend on the batch")


@pytest.mark.parametrize("cost", [Int8Cost(1000, 0.004, 0.1, 0.0), Int8Cost(1000, 0.0, 0.1, 0.0031)])
def test_another_is_refused_or_left(cost: Int8Cost, monkeypatch: pytest.MonkeyPatch, graph: onnx.ModelProto) -> None:
    with pytest.raises(
        TrainingError, match=r"int8 is refused: on 1000 held-out texts .* use --precision float32 or auto"
    ):
        choose("int8", cost, monkeypatch, graph)
    chosen = choose("auto", cost, monkeypatch, graph)
    assert chosen.info.precision == "float32"
    assert chosen.model == graph.SerializeToString()
    assert chosen.reason.startswith("float32, since on 1000")


def test_no_int8_gru(monkeypatch: pytest.MonkeyPatch, graph: onnx.ModelProto) -> None:
    with pytest.raises(TrainingError, match="no int8 GRU"):
        check_precision("int8", "gru")
    check_precision("auto", "gru")
    chosen = choose("auto", GOOD, monkeypatch, graph, cell="gru")
    assert (chosen.info.precision, chosen.reason) == ("float32", "float32, since ONNX Runtime has no int8 GRU")


def test_float32_says_nothing(monkeypatch: pytest.MonkeyPatch, graph: onnx.ModelProto) -> None:
    chosen = choose("float32", GOOD, monkeypatch, graph)
    assert (chosen.info, chosen.reason) == (ModelInfo(), "")

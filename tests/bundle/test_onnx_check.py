"""The ONNX check takes what our exporter and ONNX Runtime's quantizer write, and refuses a corpus of bad models."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from bad_models import BAD, HIDDEN, LABELS, ROWS, model, node, replace, tensor
from sortgate.bundle import check_onnx
from sortgate.errors import UnsafeModelError
from sortgate.inference.runtime import import_onnxruntime


def quantized(source: ModelProto, folder: Path, **options: object) -> ModelProto:
    quantization = import_onnxruntime("onnxruntime.quantization")
    onnx.save(source, folder / "float.onnx")
    int8 = quantization.QuantType.QInt8
    quantization.quantize_dynamic(folder / "float.onnx", folder / "int8.onnx", weight_type=int8, **options)
    return onnx.load(folder / "int8.onnx")


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("layers", [1, 2])
def test_what_the_exporter_writes_is_accepted(cell: str, layers: int, bidirectional: bool) -> None:
    facts = check_onnx(model(cell, layers, bidirectional).SerializeToString())
    assert facts.embedding_rows == ROWS
    assert facts.labels == LABELS
    assert facts.opset == 17
    assert cell.upper() in facts.operators


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("options", [{}, {"op_types_to_quantize": ["LSTM"]}, {"per_channel": True}])
def test_what_the_quantizer_writes_is_accepted(tmp_path: Path, options: dict[str, object]) -> None:
    made = quantized(model(layers=2), tmp_path, **options)
    facts = check_onnx(made.SerializeToString())
    assert "DynamicQuantizeLSTM" in facts.operators
    assert facts.embedding_rows == ROWS


def test_tensors_that_are_not_stored_raw_are_accepted() -> None:
    proto = model()
    for stored in proto.graph.initializer:
        if stored.data_type == TensorProto.FLOAT:
            values = numpy_helper.to_array(stored)
            stored.CopyFrom(helper.make_tensor(stored.name, TensorProto.FLOAT, values.shape, values.flatten()))
        else:
            values = numpy_helper.to_array(stored)
            stored.CopyFrom(helper.make_tensor(stored.name, TensorProto.INT64, values.shape, values.flatten()))
    assert check_onnx(proto.SerializeToString()).embedding_rows == ROWS


@pytest.mark.parametrize("case", BAD)
def test_bad_models_are_refused(case: str) -> None:
    change, says = BAD[case]
    proto = model()
    change(proto)
    with pytest.raises(UnsafeModelError) as caught:
        check_onnx(proto.SerializeToString())
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_gru_weights_must_fit_too() -> None:
    proto = model("gru")
    replace("rnn.0.w", (2, 4 * HIDDEN, 6))(proto)
    with pytest.raises(UnsafeModelError, match="GRU whose weights"):
        check_onnx(proto.SerializeToString())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("position", [1, 2, 3, 8, 10])
def test_quantized_weights_must_fit_too(tmp_path: Path, position: int) -> None:
    proto = quantized(model(), tmp_path)
    stored = tensor(proto, node(proto, "DynamicQuantizeLSTM").input[position])
    values = np.repeat(numpy_helper.to_array(stored), 3, axis=-1)
    stored.CopyFrom(numpy_helper.from_array(values, stored.name))
    with pytest.raises(UnsafeModelError, match=r"do(es)? not fit"):
        check_onnx(proto.SerializeToString())


def test_two_graphs_are_not_merged() -> None:
    data = model().SerializeToString()
    with pytest.raises(UnsafeModelError, match="field 7 twice"):
        check_onnx(data + data[data.index(b"\x3a") :])


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"not a model", b"PK\x03\x04", b"\x80\x04\x95", b"\x3a\x00", b"\xff" * 50]
)
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(UnsafeModelError):
        check_onnx(data)


def test_every_truncation_is_refused() -> None:
    data = model().SerializeToString()
    for size in range(0, len(data), 7):
        with pytest.raises(UnsafeModelError):
            check_onnx(data[:size])


def test_needs_neither_numpy_nor_onnx() -> None:
    code = (
        "import sys, sortgate.bundle; "
        "sys.exit(bool({'numpy', 'onnx', 'onnxruntime', 'google.protobuf'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

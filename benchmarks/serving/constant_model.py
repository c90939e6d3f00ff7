"""A bundle whose model answers at once: what is left to measure is the engine around it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sortgate.bundle import Bundle, ModelInfo, write_bundle
from sortgate.inference import Classifier
from sortgate.inference.golden import make_golden
from sortgate.inference.session import Session


def constant_bundle(source: Path, target: Path) -> Path:
    """Write a copy of ``source`` under ``target`` whose logits are the same for every text."""
    bundle = Bundle.open(source)
    manifest = bundle.manifest
    files = {name: bundle.read(name) for name in manifest.files if name != "report.html"}
    files["model.onnx"] = constant_model(len(manifest.labels))
    manifest = msgspec.structs.replace(manifest, name=target.name, model=ModelInfo(), version="", files={})
    text_path = Classifier.load(source).text_path
    files["golden.jsonl"] = make_golden(Classifier(text_path, Session(files["model.onnx"]), manifest), ["hello", ""])
    return write_bundle(target, manifest, files)


def constant_model(labels: int) -> bytes:
    """Return a model with the inputs and outputs of a bundle's and no work between them."""
    logits = np.linspace(2.0, 0.0, labels, dtype=np.float32)[None, :]
    constants = [
        numpy_helper.from_array(logits, "row"),
        numpy_helper.from_array(np.array(0.0, dtype=np.float32), "zero"),
        numpy_helper.from_array(np.array([1], dtype=np.int64), "axis"),
    ]
    nodes = [
        helper.make_node("Cast", ["lengths"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["floats", "zero"], ["zeros"]),
        helper.make_node("Unsqueeze", ["zeros", "axis"], ["column"]),
        helper.make_node("Add", ["column", "row"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "constant",
        [
            helper.make_tensor_value_info("ids", TensorProto.INT32, ["batch", "time"]),
            helper.make_tensor_value_info("lengths", TensorProto.INT32, ["batch"]),
        ],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", labels])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()

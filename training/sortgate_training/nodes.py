"""Puts an ONNX graph together, node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8

Weights = Mapping[str, npt.NDArray[np.float32]]


class Nodes:
    """A graph under construction: stored tensors, and nodes that take what was made before.

    Args:
        weights: stored under their names, as float32.
    """

    def __init__(self, weights: Weights) -> None:
        self._initializers = [
            numpy_helper.from_array(np.ascontiguousarray(value, dtype=np.float32), name)
            for name, value in weights.items()
        ]
        self._nodes: list[onnx.NodeProto] = []

    def constant(self, name: str, value: npt.NDArray[Any]) -> None:
        """Store a tensor, unless there is one of that name."""
        if any(known.name == name for known in self._initializers):
            return
        self._initializers.append(numpy_helper.from_array(value, name))

    def node(self, operator: str, inputs: list[str], output: str, more: Sequence[str] = (), **attributes: Any) -> str:
        """Add a node; returns its output's name, which is its own too."""
        self._nodes.append(helper.make_node(operator, inputs, [output, *more], name=output, **attributes))
        return output

    def model(self, labels: int) -> onnx.ModelProto:
        """Return the model, checked: ``ids`` and ``lengths`` in, ``logits [batch, labels]`` out."""
        graph = helper.make_graph(
            self._nodes,
            "classifier",
            [
                helper.make_tensor_value_info("ids", TensorProto.INT32, ["batch", "time"]),
                helper.make_tensor_value_info("lengths", TensorProto.INT32, ["batch"]),
            ],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", labels])],
            self._initializers,
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="sortgate", ir_version=IR_VERSION
        )
        onnx.checker.check_model(model)
        return model

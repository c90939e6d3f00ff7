"""A small good ONNX model, and changes that make models of it that must never reach ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper

from sortgate_training.graph import GraphSpec, build_graph, random_weights

ROWS, LABELS, HIDDEN = 20, 3, 4


def model(cell: str = "lstm", layers: int = 1, bidirectional: bool = True) -> ModelProto:
    spec = GraphSpec(cell, HIDDEN, layers, bidirectional)  # type: ignore[arg-type]
    return build_graph(random_weights(ROWS, LABELS, spec, 6), spec)


def tensor(proto: ModelProto, name: str) -> TensorProto:
    return next(item for item in proto.graph.initializer if item.name == name)


def node(proto: ModelProto, operator: str) -> onnx.NodeProto:
    return next(item for item in proto.graph.node if item.op_type == operator)


def external(location: str) -> Callable[[ModelProto], None]:
    def change(proto: ModelProto) -> None:
        target = tensor(proto, "embedding")
        target.ClearField("raw_data")
        target.data_location = TensorProto.EXTERNAL
        target.external_data.add(key="location", value=location)

    return change


def external_without_location_flag(proto: ModelProto) -> None:
    tensor(proto, "embedding").external_data.add(key="location", value="weights.bin")


def external_flag_only(proto: ModelProto) -> None:
    tensor(proto, "embedding").data_location = TensorProto.EXTERNAL


def replace(name: str, dims: tuple[int, ...]) -> Callable[[ModelProto], None]:
    def change(proto: ModelProto) -> None:
        tensor(proto, name).CopyFrom(numpy_helper.from_array(np.ones(dims, np.float32), name))

    return change


def dims(name: str, *values: int) -> Callable[[ModelProto], None]:
    def change(proto: ModelProto) -> None:
        del tensor(proto, name).dims[:]
        tensor(proto, name).dims.extend(values)

    return change


def operator(name: str, domain: str = "") -> Callable[[ModelProto], None]:
    def change(proto: ModelProto) -> None:
        node(proto, "Div").domain = domain
        node(proto, "Div").op_type = name

    return change


def set_attribute(operator: str, name: str, value: object) -> Callable[[ModelProto], None]:
    def change(proto: ModelProto) -> None:
        target = node(proto, operator)
        kept = [item for item in target.attribute if item.name != name]
        del target.attribute[:]
        target.attribute.extend([*kept, helper.make_attribute(name, value)])

    return change


def subgraph(depth: int) -> Callable[[ModelProto], None]:
    def change(proto: ModelProto) -> None:
        inner = helper.make_graph([], "leaf", [], [])
        for _ in range(depth):
            inner = helper.make_graph([helper.make_node("If", ["c"], ["y"], then_branch=inner)], "g", [], [])
        node(proto, "Div").attribute.append(helper.make_attribute("body", inner))

    return change


def recursive_functions(proto: ModelProto) -> None:
    for name, other in (("f", "g"), ("g", "f")):
        body = [helper.make_node(other, ["x"], ["y"], domain="loop")]
        proto.functions.append(helper.make_function("loop", name, ["x"], ["y"], body, [helper.make_opsetid("", 17)]))


def computed_weights(proto: ModelProto) -> None:
    lstm = node(proto, "LSTM")
    proto.graph.node.insert(0, helper.make_node("Identity", ["rnn.0.w"], ["w.copy"]))
    lstm.input[1] = "w.copy"


def initial_state(proto: ModelProto) -> None:
    replace("embedding", (ROWS, 6))(proto)
    node(proto, "LSTM").input.append("rnn.0.b")


def constant_weights_twice(proto: ModelProto) -> None:
    proto.graph.initializer.append(numpy_helper.from_array(np.ones((1, 1, 1), np.float32), "rnn.0.w"))


def cycle(proto: ModelProto) -> None:
    node(proto, "Div").input[0] = "logits"


def fill_terabytes(proto: ModelProto) -> None:
    proto.graph.initializer.append(numpy_helper.from_array(np.array([2**20, 2**20], np.int64), "huge"))
    proto.graph.node.append(helper.make_node("ConstantOfShape", ["huge"], ["filled"]))


def sparse(proto: ModelProto) -> None:
    entry = proto.graph.sparse_initializer.add()
    entry.dims.append(2**40)


def strings(proto: ModelProto) -> None:
    proto.graph.initializer.append(helper.make_tensor("s", TensorProto.STRING, [1], [b"x"]))


def extra_input(proto: ModelProto) -> None:
    proto.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))


def float_ids(proto: ModelProto) -> None:
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT


def sequence_input(proto: ModelProto) -> None:
    proto.graph.input[0].type.CopyFrom(helper.make_sequence_type_proto(proto.graph.input[0].type))


def other_output(proto: ModelProto) -> None:
    proto.graph.output[0].name = "features"


def stored_output(proto: ModelProto) -> None:
    node(proto, "Gemm").output[0] = "elsewhere"
    proto.graph.initializer.append(numpy_helper.from_array(np.ones((1, LABELS), np.float32), "logits"))


def override_an_input(proto: ModelProto) -> None:
    proto.graph.initializer.append(numpy_helper.from_array(np.ones((1, 1), np.int32), "ids"))


#: What is wrong → the change, and what the refusal says.
BAD: dict[str, tuple[Callable[[ModelProto], object], str]] = {
    "external data above the folder": (external("../../etc/passwd"), "external data"),
    "external data by absolute path": (external("/etc/passwd"), "external data"),
    "external data in memory": (external("*/_ORT_MEM_ADDR_/*"), "external data"),
    "external data without the flag": (external_without_location_flag, "external data"),
    "external flag only": (external_flag_only, "external data"),
    "2^40 dims": (dims("embedding", 2**40, 1), "absurd size"),
    "2^63 dims": (dims("embedding", 2**63 - 1, 2**63 - 1, 2**63 - 1), "absurd size"),
    "negative dims": (dims("embedding", -1, 6), "absurd size"),
    "more dims than data": (dims("embedding", ROWS + 1, 6), "does not fit its dimensions"),
    "fewer dims than data": (dims("embedding", ROWS - 1, 6), "does not fit its dimensions"),
    "many dims": (dims("embedding", *[1] * 500), "dimensions"),
    "unknown operator": (operator("PyOp"), "'PyOp'"),
    "operator that reads files": (operator("TfIdfVectorizer"), "'TfIdfVectorizer'"),
    "unknown domain": (operator("Div", "evil.corp"), "'evil.corp.Div'"),
    "loop": (operator("Loop"), "'Loop'"),
    "contributed operator": (operator("QAttention", "com.microsoft"), "QAttention"),
    "unknown operator set": (
        lambda proto: proto.opset_import.append(helper.make_opsetid("evil.corp", 1)), "domain 'evil.corp'",
    ),
    "no operator set": (lambda proto: proto.opset_import.pop(), "which operator set"),
    "subgraph": (subgraph(1), "subgraph"),
    "nested subgraphs": (subgraph(20), "subgraph"),
    "recursive functions": (recursive_functions, "functions"),
    "training information": (lambda proto: proto.training_info.add(), "training information"),
    "sparse tensor": (sparse, "sparse"),
    "strings": (strings, "tensor of strings"),
    "no graph": (lambda proto: proto.ClearField("graph"), "no graph"),
    "hidden_size too large": (set_attribute("LSTM", "hidden_size", HIDDEN + 1), "do not fit its hidden_size 5"),
    "hidden_size huge": (set_attribute("LSTM", "hidden_size", 2**40), "proper hidden_size"),
    "hidden_size negative": (set_attribute("LSTM", "hidden_size", -4), "proper hidden_size"),
    "hidden_size missing": (lambda proto: node(proto, "LSTM").attribute.pop(0), "hidden_size"),
    "one direction": (set_attribute("LSTM", "direction", "forward"), "do not fit"),
    "unknown direction": (set_attribute("LSTM", "direction", "sideways"), "direction"),
    "other layout": (set_attribute("LSTM", "layout", 1), "layout"),
    "activations": (set_attribute("LSTM", "activations", ["Tanh"] * 6), "'activations'"),
    "small W": (replace("rnn.0.w", (2, 4 * HIDDEN - 1, 6)), "do not fit"),
    "W of one direction": (replace("rnn.0.w", (1, 4 * HIDDEN, 6)), "do not fit"),
    "small R": (replace("rnn.0.r", (2, 4 * HIDDEN, HIDDEN - 1)), "do not fit"),
    "flat W": (replace("rnn.0.w", (2, 4 * HIDDEN)), "do not fit"),
    "small B": (replace("rnn.0.b", (2, 8 * HIDDEN - 1)), "bias does not fit"),
    "computed weights": (computed_weights, "not stored in the file"),
    "no lengths": (lambda proto: node(proto, "LSTM").input.pop(), "without input or lengths"),
    "initial state": (initial_state, "initial states"),
    "weights twice": (constant_weights_twice, "twice"),
    "cycle": (cycle, "before it is made"),
    "fills terabytes": (fill_terabytes, "fills a tensor"),
    "extra input": (extra_input, "must take int32 ids"),
    "ids as floats": (float_ids, "must take int32 ids"),
    "sequence input": (sequence_input, "a sequence"),
    "another output": (other_output, "must give float32 logits"),
    "stored output": (stored_output, "does not compute logits"),
    "input overridden": (override_an_input, "name of an input"),
}  # fmt: skip

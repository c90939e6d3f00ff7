"""The yardstick: a plain BiLSTM-128, as a capable engineer would serve it without Sortgate.

Word vectors of 128 → one bidirectional LSTM of 128 units a direction → maximum over time → linear. Texts are
lower-cased, one regular expression finds words and signs, a dictionary gives ids, NumPy pads the batch. There are two
ways to the ONNX file, and the faster one is the yardstick: PyTorch's exporter, and one LSTM node written by hand, which
gets the lengths and pools before it transposes. Weights are random: an LSTM's cost does not depend on them.
"""

from __future__ import annotations

import re
import tempfile
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from contestant import Contestant
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from sortgate.inference.runtime import import_onnxruntime

EMBEDDING, HIDDEN = 128, 128
#: Ids of padding and of words that are not in the dictionary.
PADDING, UNKNOWN = 0, 1
_TOKENS = re.compile(r"\w+|[^\w\s]")


def tokenize(text: str) -> list[str]:
    """Return the words and signs of a text, in lower case."""
    return _TOKENS.findall(text.lower())


class Words:
    """The dictionary: words seen twice at least, the most frequent ones, of which ``size`` ids are left."""

    def __init__(self, texts: Sequence[str], size: int) -> None:
        counts = Counter(token for text in texts for token in tokenize(text))
        kept = [token for token, count in counts.most_common(size - 2) if count > 1]
        self.ids = {token: number for number, token in enumerate(kept, 2)}

    def __len__(self) -> int:
        """Ids there are, with those of padding and of unknown words."""
        return len(self.ids) + 2

    def encode(self, texts: Sequence[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """Return ids ``[batch, time]``, padded, and lengths ``[batch]``."""
        get = self.ids.get
        rows = [[get(token, UNKNOWN) for token in tokenize(text)] for text in texts]
        lengths = np.array([len(row) for row in rows], dtype=np.int32)
        ids = np.full((len(rows), lengths.max()), PADDING, dtype=np.int64)
        for target, row in zip(ids, rows, strict=True):
            target[: len(row)] = row
        return ids, lengths


class PlainNetwork(nn.Module):
    """The network, for PyTorch's exporter; takes ids ``[batch, time]`` alone."""

    def __init__(self, vocabulary: int, labels: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, EMBEDDING, padding_idx=PADDING)
        self.lstm = nn.LSTM(EMBEDDING, HIDDEN, batch_first=True, bidirectional=True)
        self.output = nn.Linear(2 * HIDDEN, labels)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Return logits ``[batch, labels]``."""
        logits: torch.Tensor = self.output(self.lstm(self.embedding(ids))[0].amax(dim=1))
        return logits


def exported(vocabulary: int, labels: int) -> bytes:
    """Return the ONNX file of PyTorch's exporter."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter that needs no further package warns that there is a newer one
        torch.onnx.export(
            PlainNetwork(vocabulary, labels).eval(),
            (torch.ones(2, 5, dtype=torch.int64),),
            file := Path(folder) / "float32.onnx",
            input_names=["ids"],
            output_names=["logits"],
            dynamic_axes={"ids": {0: "batch", 1: "time"}, "logits": {0: "batch"}},
            opset_version=17,
            dynamo=False,
        )
        return file.read_bytes()


def written(vocabulary: int, labels: int) -> bytes:
    """Return the ONNX file of one LSTM node."""
    generator = np.random.default_rng(0)
    nodes = [
        helper.make_node("Gather", ["embedding", "ids"], ["embedded"]),
        helper.make_node("Transpose", ["embedded"], ["x"], perm=[1, 0, 2]),
        helper.make_node(
            "LSTM", ["x", "w", "r", "b", "lengths"], ["y"], hidden_size=HIDDEN, direction="bidirectional"
        ),  # [time, 2, batch, hidden]
        helper.make_node("ReduceMax", ["y"], ["largest"], axes=[0], keepdims=0),
        helper.make_node("Transpose", ["largest"], ["rows"], perm=[1, 0, 2]),
        helper.make_node("Reshape", ["rows", "joined"], ["features"]),
        helper.make_node("Gemm", ["features", "output.weight", "output.bias"], ["logits"], transB=1),
    ]
    shapes = {
        "embedding": (vocabulary, EMBEDDING),
        "w": (2, 4 * HIDDEN, EMBEDDING),
        "r": (2, 4 * HIDDEN, HIDDEN),
        "b": (2, 8 * HIDDEN),
        "output.weight": (labels, 2 * HIDDEN),
        "output.bias": (labels,),
    }
    bound = HIDDEN**-0.5  # PyTorch's own start
    arrays: dict[str, npt.NDArray[Any]] = {
        name: generator.uniform(-bound, bound, shape).astype(np.float32) for name, shape in shapes.items()
    }
    arrays["joined"] = np.array([0, -1], dtype=np.int64)
    graph = helper.make_graph(
        nodes,
        "plain",
        [
            helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "time"]),
            helper.make_tensor_value_info("lengths", TensorProto.INT32, ["batch"]),
        ],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", labels])],
        [numpy_helper.from_array(value, name) for name, value in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


def quantized(model: bytes) -> bytes:
    """Return what ``quantize_dynamic`` makes of a model by its defaults."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "int8.onnx"
        graph = onnx.load_from_string(model)
        # says that the graph is ready, or a log would advise to prepare it, which changes nothing here
        graph.metadata_props.add(key="onnx.quant.pre_process", value="onnxruntime.quant")
        import_onnxruntime("onnxruntime.quantization").quantize_dynamic(graph, target)
        return target.read_bytes()


def contestant(name: str, model: bytes, precision: str, words: Words, labels: Sequence[str]) -> Contestant:
    """Return the row of one file: one call of ONNX Runtime a batch, and the label of the largest logit."""
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    with_lengths = len(session.get_inputs()) > 1

    def logits(encoded: tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]) -> npt.NDArray[np.float32]:
        ids, lengths = encoded
        inputs = {"ids": ids, "lengths": lengths} if with_lengths else {"ids": ids}
        found: npt.NDArray[np.float32] = session.run(None, inputs)[0]
        return found

    def answer(_: Any, found: npt.NDArray[np.float32]) -> list[str]:
        return [labels[number] for number in found.argmax(axis=1)]

    def label(texts: Sequence[str]) -> list[str]:
        encoded = words.encode(texts)
        return answer(encoded, logits(encoded))

    return Contestant(name, f"{HIDDEN}/{EMBEDDING}", precision, label, words.encode, logits, answer, plain=True)


def plain_contestants(texts: Sequence[str], size: int, labels: Sequence[str], *, int8: bool) -> list[Contestant]:
    """Return the yardstick's rows, with a dictionary of at most ``size`` ids from ``texts``."""
    words = Words(texts, size)
    rows = []
    for name, make in (("plain, exported by PyTorch", exported), ("plain, one LSTM node", written)):
        model = make(len(words), len(labels))
        rows.append(contestant(name, model, "float32", words, labels))
        if int8:
            rows.append(contestant(name, quantized(model), "int8", words, labels))
    return rows

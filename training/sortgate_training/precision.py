"""float32 or int8: quantises a model, measures what that costs, and refuses it where it costs too much.

``DynamicQuantizeLSTM`` scales activations by the whole batch, so a text's label may depend on its neighbours. The flip
rate is the share of labels that do.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from sortgate.bundle import ModelInfo
from sortgate.errors import TrainingError
from sortgate.inference.session import Session
from sortgate.textpath import Encoded
from sortgate_training.logits import onnx_logits

#: Largest share of labels that an int8 bundle may answer otherwise in a batch than alone.
MAX_FLIP_RATE = 0.003
#: Most of the accuracy that int8 may lose.
MAX_ACCURACY_LOSS = 0.003
#: Batches that a text's label is compared in; one text at a time is the reference.
BATCH_ROWS = (8, 16, 32)
#: Texts measured at most: batches of one are slow.
MAX_TEXTS = 10_000


@dataclass(frozen=True)
class Chosen:
    """The model to serve, what the manifest says of it, and why it was chosen, in words (empty: it was asked for)."""

    model: bytes
    info: ModelInfo
    reason: str = ""


@dataclass(frozen=True)
class Int8Cost:
    """What int8 costs on held-out texts: shares of the texts, and the largest change of a logit between batches.

    ``accuracy_loss`` is of the validation texts only: the test texts' labels decide nothing.
    """

    texts: int
    flip_rate: float
    logit_margin: float
    accuracy_loss: float

    @property
    def acceptable(self) -> bool:
        """Whether a bundle may serve it."""
        return self.flip_rate <= MAX_FLIP_RATE and self.accuracy_loss <= MAX_ACCURACY_LOSS

    def __str__(self) -> str:
        """In words."""
        return (
            f"on {self.texts} held-out texts {self.flip_rate:.2%} of the int8 labels depend on the batch "
            f"({MAX_FLIP_RATE:.1%} may), and validation accuracy changes by {-100 * self.accuracy_loss:+.2f} points"
        )


def check_precision(precision: Literal["float32", "int8", "auto"], cell: Literal["lstm", "gru"]) -> None:
    """Refuse what cannot work, before any training.

    Raises:
        TrainingError: int8 of a GRU.
    """
    if precision == "int8" and cell == "gru":
        raise TrainingError("ONNX Runtime has no int8 GRU: use --cell lstm, or --precision float32 or auto")


def choose_precision(
    precision: Literal["float32", "int8", "auto"],
    graph: onnx.ModelProto,
    info: ModelInfo,
    texts: Sequence[Encoded],
    targets: npt.NDArray[Any],
    borders: npt.NDArray[np.float64] | None = None,
) -> Chosen:
    """Return the model to serve.

    Args:
        precision: what was asked for; ``auto`` takes int8 where it is acceptable.
        graph: the float32 model.
        info: what the manifest says of it.
        texts: held-out texts, the validation texts first; the more, the surer the flip rate.
        targets: of the validation texts.
        borders: multi-label only: the logit from which each label is given.

    Raises:
        TrainingError: int8 was asked for and is not acceptable.
    """
    exact = Chosen(graph.SerializeToString(), info)
    if precision == "float32":
        return exact
    if info.cell == "gru":
        check_precision(precision, info.cell)
        return Chosen(exact.model, info, "float32, since ONNX Runtime has no int8 GRU")
    model = quantize(graph)
    cost = measure_int8(exact.model, model, texts[:MAX_TEXTS], targets[:MAX_TEXTS], borders)
    if cost.acceptable:
        chosen = ModelInfo(
            precision="int8",
            cell=info.cell,
            opset=info.opset,
            flip_rate=cost.flip_rate,
            logit_margin=cost.logit_margin,
        )
        return Chosen(model, chosen, f"int8: {cost}")
    if precision == "int8":
        raise TrainingError(f"int8 is refused: {cost}; use --precision float32 or auto")
    return Chosen(exact.model, info, f"float32, since {cost}")


def measure_int8(
    exact: bytes,
    quantized: bytes,
    texts: Sequence[Encoded],
    targets: npt.NDArray[Any],
    borders: npt.NDArray[np.float64] | None = None,
) -> Int8Cost:
    """Compare the int8 model with itself in other batches, and, as far as targets go, with the float32 model."""

    def answers(logits: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return what is compared, ``[texts, 1]`` or ``[texts, labels]``."""
        return logits.argmax(axis=1)[:, None] if borders is None else logits >= borders

    session = Session(quantized)
    alone = onnx_logits(session, texts, rows=1)
    labels = answers(alone)
    flips, margin = 0, 0.0
    shuffled = np.random.default_rng(0).permutation(len(texts))
    for rows in BATCH_ROWS:
        # as served, in order of length; and in no order, which mixes long texts with short ones
        for order in (None, shuffled):
            batched = onnx_logits(session, texts, rows=rows, order=order)
            flips = max(flips, int((answers(batched) != labels).any(axis=1).sum()))
            margin = max(margin, float(np.abs(batched - alone).max()))
    truth = targets.reshape(len(targets), -1)
    right = (answers(onnx_logits(Session(exact), texts[: len(truth)], rows=32)) == truth).all(axis=1)
    loss = float(right.mean() - (labels[: len(truth)] == truth).all(axis=1).mean())
    return Int8Cost(len(texts), flips / len(texts), margin, loss)


def quantize(graph: onnx.ModelProto) -> bytes:
    """Return the model with its LSTMs as ``DynamicQuantizeLSTM``.

    Raises:
        TrainingError: the quantiser left an LSTM as it was.
    """
    prepared = onnx.ModelProto()
    prepared.CopyFrom(graph)
    # Our graph needs none of the quantiser's pre-processing; the mark keeps it from saying otherwise in a log.
    prepared.metadata_props.add(key="onnx.quant.pre_process", value="onnxruntime.quant")
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "model.onnx"
        quantize_dynamic(prepared, target, weight_type=QuantType.QInt8, op_types_to_quantize=["LSTM"])
        data = target.read_bytes()
    operators = [node.op_type for node in onnx.load_from_string(data).graph.node]
    if "LSTM" in operators or "DynamicQuantizeLSTM" not in operators:
        raise TrainingError("ONNX Runtime's quantiser left the LSTM in float32: this version cannot make int8 bundles")
    return data

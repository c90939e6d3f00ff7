"""float32 or int8: quantises a model, measures what that costs, and refuses it where it costs too much.

``DynamicQuantizeLSTM`` scales activations by the whole batch, so a text's label may depend on its neighbours. The flip
rate is the share of texts that are answered otherwise than alone, in the worst of several ways to put them in batches.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import onnx

from sortgate.bundle import ModelInfo
from sortgate.encoded import Encoded
from sortgate.errors import TrainingError
from sortgate.inference.runtime import import_onnxruntime
from sortgate.inference.session import Session
from sortgate_training.judging import Cut
from sortgate_training.logits import onnx_logits

#: Largest share of texts that an int8 bundle may answer otherwise in a batch than alone.
MAX_FLIP_RATE = 0.003
#: Most of the accuracy (of the micro-F1, where a text has any number of labels) that int8 may lose: 0.2 points.
MAX_LOSS = 0.002
#: With fewer validation texts a single one is more than that, so ``auto`` leaves it at float32.
LEAST_TEXTS = 500
#: Batches that a text's label is compared in; one text at a time is the reference.
BATCH_ROWS = (8, 16, 32)
#: Texts measured at most: batches of one are slow.
MAX_TEXTS = 10_000


@dataclass(frozen=True)
class Deciding:
    """How logits become answers.

    Attributes:
        temperature: of the bundle.
        cut: from which scores float32 gives labels.
        choose: returns such a cut, given calibrated logits of the validation texts, and their targets.
    """

    temperature: float
    cut: Cut
    choose: Callable[[npt.NDArray[Any], npt.NDArray[Any]], Cut]


@dataclass(frozen=True)
class Chosen:
    """The model to serve, what the manifest says of it, and why it was chosen.

    ``cut`` is that of its own scores. ``reason`` is a sentence and ``facts`` are its figures; both are empty where
    float32 was asked for.
    """

    model: bytes
    info: ModelInfo
    cut: Cut
    reason: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Int8Cost:
    """What int8 costs on held-out texts.

    Attributes:
        texts: validation texts, and test texts, of which only the answers are looked at: their labels decide nothing.
        flips: how many of these the worst of the batchings answers otherwise than alone, in one label at least.
        judged: how many of them are validation texts.
        exact: accuracy of float32 on these; of sets of labels micro-F1, which with one label a text is accuracy.
        quantized: the same of int8, one text at a time.
        logit_margin: largest change of a logit between batches.
        figure: what ``exact`` and ``quantized`` are.
    """

    texts: int
    flips: int
    judged: int
    exact: float
    quantized: float
    logit_margin: float
    figure: str = "accuracy"

    @property
    def flip_rate(self) -> float:
        """Share of the texts, 0 to 1."""
        return self.flips / self.texts

    @property
    def acceptable(self) -> bool:
        """Whether a bundle may serve it."""
        # a loss of exactly 0.2 points is one, whatever floating point makes of it
        return self.flip_rate <= MAX_FLIP_RATE and self.exact - self.quantized <= MAX_LOSS + 1e-9

    def __str__(self) -> str:
        """In words."""
        return (
            f"int8 changes the {self.figure} of {self.judged:,} validation texts by "
            f"{100 * (self.quantized - self.exact):+.2f} points (it may lose {100 * MAX_LOSS:.1f}), and "
            f"{self.flip_rate:.2%} of the answers to {self.texts:,} held-out texts depend on the batch "
            f"({MAX_FLIP_RATE:.1%} may)"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for the manifest."""
        bounds = {"max_loss": MAX_LOSS, "max_flip_rate": MAX_FLIP_RATE}
        return {**asdict(self), "flip_rate": self.flip_rate, **bounds}


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
    deciding: Deciding,
) -> Chosen:
    """Return the model to serve.

    Args:
        precision: what was asked for; ``auto`` takes int8 where it is acceptable, and enough texts say so.
        graph: the float32 model.
        info: what the manifest says of it.
        texts: held-out texts, the validation texts first; the more, the surer the flip rate.
        targets: of the validation texts.
        deciding: how logits become answers.

    Raises:
        TrainingError: int8 was asked for and is not acceptable.
    """
    exact = Chosen(graph.SerializeToString(), info, deciding.cut)
    if precision == "float32":
        return exact
    if info.cell == "gru":
        check_precision(precision, info.cell)
        return replace(exact, reason="float32 is served: ONNX Runtime has no int8 GRU", facts={"asked": precision})
    if precision == "auto" and len(targets) < LEAST_TEXTS:
        reason = (
            f"float32 is served: {len(targets)} validation texts are too few to tell what int8 costs, since one is "
            f"{100 / len(targets):.2f} points and {100 * MAX_LOSS:.1f} may be lost; {LEAST_TEXTS} are enough"
        )
        return replace(exact, reason=reason, facts={"asked": precision, "judged": len(targets)})
    model = quantize(graph)
    try:
        cost, cut = measure_int8(exact.model, model, texts[:MAX_TEXTS], targets[:MAX_TEXTS], deciding)
    except TrainingError as error:  # its scores reach no goal
        if precision == "int8":
            raise TrainingError(f"int8 is refused: {error}; or use --precision float32 or auto") from None
        return replace(exact, reason=f"float32 is served: of int8, {error}", facts={"asked": precision})
    facts = {"asked": precision, **cost.to_dict()}
    if cost.acceptable:
        chosen = ModelInfo(
            precision="int8",
            cell=info.cell,
            opset=info.opset,
            flip_rate=cost.flip_rate,
            logit_margin=cost.logit_margin,
        )
        return Chosen(model, chosen, cut, f"int8 is served: {cost}", facts)
    if precision == "int8":
        raise TrainingError(f"int8 is refused: {cost}; use --precision float32 or auto")
    return replace(exact, reason=f"float32 is served: {cost}", facts=facts)


def measure_int8(
    exact: bytes, quantized: bytes, texts: Sequence[Encoded], targets: npt.NDArray[Any], deciding: Deciding
) -> tuple[Int8Cost, Cut]:
    """Compare the int8 model with itself in other batches, and, as far as targets go, with the float32 model.

    What is compared are answers as they would be served. Scores of int8 differ a little from those of float32, so it
    has a cut of its own, which is returned, too.

    Raises:
        TrainingError: no cut of its scores reaches the goal.
    """
    judged = len(targets)
    session = Session(quantized)
    alone = onnx_logits(session, texts, rows=1)
    cut = deciding.choose(alone[:judged] / deciding.temperature, targets)
    labels = cut.answers(alone / deciding.temperature)
    flips, margin = _count_flips(session, texts, alone, cut, deciding.temperature)
    before = deciding.cut.answers(onnx_logits(Session(exact), texts[:judged], rows=32) / deciding.temperature)
    cost = Int8Cost(
        texts=len(texts),
        flips=flips,
        judged=judged,
        exact=_rate(before, targets),
        quantized=_rate(labels[:judged], targets),
        logit_margin=margin,
        figure="accuracy" if targets.ndim == 1 else "micro-F1",
    )
    return cost, cut


def _count_flips(
    session: Session, texts: Sequence[Encoded], alone: npt.NDArray[np.float32], cut: Cut, temperature: float
) -> tuple[int, float]:
    """Return how many answers the worst batching changes, and by how much logits move, from those ``alone``."""
    labels, flips, margin = cut.answers(alone / temperature), 0, 0.0
    shuffled = np.random.default_rng(0).permutation(len(texts))
    for rows in BATCH_ROWS:
        # as served, in order of length; and in no order, which mixes long texts with short ones
        for order in (None, shuffled):
            batched = onnx_logits(session, texts, rows=rows, order=order)
            differs = cut.answers(batched / temperature) != labels
            flips = max(flips, int(differs.reshape(len(texts), -1).any(axis=1).sum()))
            margin = max(margin, float(np.abs(batched - alone).max()))
    return flips, margin


def again_as(chosen: Chosen, graph: onnx.ModelProto, texts: Sequence[Encoded], temperature: float) -> Chosen:
    """Return another model of the same kind in the precision that was chosen, with its cut.

    Args:
        chosen: what was chosen, and why.
        graph: the other float32 model.
        texts: texts whose answers must not depend on the batch; their labels are not asked for.
        temperature: of the bundle.

    Raises:
        TrainingError: more of its int8 answers depend on the batch than may.
    """
    if chosen.info.precision != "int8":
        return replace(chosen, model=graph.SerializeToString())
    model, texts = quantize(graph), texts[:MAX_TEXTS]
    session = Session(model)
    flips, margin = _count_flips(session, texts, onnx_logits(session, texts, rows=1), chosen.cut, temperature)
    rate = flips / len(texts)
    if rate > MAX_FLIP_RATE:
        raise TrainingError(
            f"{rate:.2%} of its int8 answers to {len(texts):,} texts depend on the batch, where {MAX_FLIP_RATE:.1%} may"
        )
    info = msgspec.structs.replace(chosen.info, flip_rate=rate, logit_margin=margin)
    served = {"flips": flips, "texts": len(texts), "flip_rate": rate, "logit_margin": margin}
    return replace(chosen, model=model, info=info, facts={**chosen.facts, "second_training": served})


def _rate(given: npt.NDArray[Any], targets: npt.NDArray[Any]) -> float:
    """Return accuracy, no answer being a wrong one, or micro-F1."""
    if targets.ndim == 1:
        return float((given == targets).mean())
    return float(2 * (given & targets).sum() / max(given.sum() + targets.sum(), 1))


def quantize(graph: onnx.ModelProto) -> bytes:
    """Return the model with its LSTMs as ``DynamicQuantizeLSTM``, each gate of each unit with a scale of its own.

    All else stays float32: it is a small part of the time, and the n-gram tables' sums would add up their errors.

    Raises:
        TrainingError: the quantiser left an LSTM as it was.
    """
    quantization = import_onnxruntime("onnxruntime.quantization")
    prepared = onnx.ModelProto()
    prepared.CopyFrom(graph)
    # Our graph needs none of the quantiser's pre-processing; the mark keeps it from saying otherwise in a log.
    prepared.metadata_props.add(key="onnx.quant.pre_process", value="onnxruntime.quant")
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "model.onnx"
        quantization.quantize_dynamic(
            prepared,
            target,
            weight_type=quantization.QuantType.QInt8,
            op_types_to_quantize=["LSTM"],
            per_channel=True,
        )
        data = target.read_bytes()
    operators = [node.op_type for node in onnx.load_from_string(data).graph.node]
    if "LSTM" in operators or "DynamicQuantizeLSTM" not in operators:
        raise TrainingError("ONNX Runtime's quantiser left the LSTM in float32: this version cannot make int8 bundles")
    return data

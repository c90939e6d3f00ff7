"""Logits of many texts, from PyTorch and from ONNX Runtime, in batches of a given size and order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from sortgate.encoded import Encoded
from sortgate.inference.session import Session
from sortgate_training.batches import EncodedTexts, reading_order
from sortgate_training.parallel import SideBySide

FloatArray = npt.NDArray[np.float32]


def onnx_logits(
    session: Session, texts: Sequence[Encoded], *, rows: int, order: npt.NDArray[np.int64] | None = None
) -> FloatArray:
    """Return ONNX Runtime's logits ``[texts, labels]``.

    Args:
        session: the model.
        texts: at least one.
        rows: texts of one batch.
        order: in which texts are put into batches; by length when None. The result is in the order of ``texts``.
    """
    if order is None:
        order = np.argsort([len(text) for text in texts], kind="stable")
    parts = []
    for start in range(0, len(order), rows):
        chosen = [texts[index].ids for index in order[start : start + rows]]
        lengths = np.array([len(ids) for ids in chosen], dtype=np.int32)
        ids = np.zeros((len(chosen), int(lengths.max())), dtype=np.int32)
        for row, text in enumerate(chosen):
            ids[row, : len(text)] = text
        parts.append(session.run(ids, lengths))
    logits = np.concatenate(parts)
    result = np.empty_like(logits)
    result[order] = logits
    return result


def torch_logits(module: nn.Module, texts: EncodedTexts, *, rows: int = 256) -> FloatArray:
    """Return PyTorch's logits ``[texts, labels]``, in evaluation mode; of at least one text."""
    module.eval()
    device = next((weight.device for weight in module.parameters()), torch.device("cpu"))

    def run(chosen: npt.NDArray[np.int64]) -> FloatArray:
        batch = texts.batch(chosen).to(device)
        with torch.inference_mode():  # a thread's own
            logits: FloatArray = module(batch.ids, batch.lengths).cpu().numpy()
        return logits

    order = reading_order(texts.lengths, batch_size=rows, batch_tokens=65_536)
    with SideBySide() as sides:
        # a GPU has its own parallelism, and memory for one batch
        logits = np.concatenate(sides.map(run, order) if device.type == "cpu" else [run(chosen) for chosen in order])
    result: FloatArray = np.empty_like(logits)
    result[np.concatenate(order)] = logits
    return result

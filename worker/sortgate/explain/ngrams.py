"""The n-gram path's logits, told apart by token.

The path adds up table rows, one a word, one a pair of neighbours and one the characters of a word, and divides by
norms (``sortgate_training.tables``). So a token's part of the logits is what its rows add to that sum, divided by the
norms of this text; a pair's row belongs to its two tokens in equal halves. The parts and the bias make up the logits
exactly: nothing is estimated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from sortgate.explain.cells import FloatArray
from sortgate.vocabulary import FIRST_ID

#: Occurrences from which on a row counts a step more.
_STEPS = (2, 4, 8)


def token_logits(ids: npt.NDArray[np.int64], tables: Mapping[str, npt.NDArray[Any]]) -> tuple[FloatArray, FloatArray]:
    """Return each token's logits ``[time, labels]``, and the bias ``[labels]``: their sum is the path's logits.

    Args:
        ids: ``[time]``.
        tables: ``Weights.tables``.

    Raises:
        KeyError: the tables lack one.
    """
    bias = tables["bias"].astype(np.float64)
    labels, step = len(bias), float(tables["sorted.step"])
    words = tables["words"][ids].astype(np.float64)  # [time, 2·labels + 2]
    numbers = _pair_rows(ids, tables)
    pairs = tables["pairs"][numbers].astype(np.float64)  # [time, labels + 1], of each token with the next one
    factor, square = _shares(ids, step)
    pair_factor, pair_square = _shares(numbers, step)
    least = float(tables["least"])
    word_norm = np.sqrt(np.maximum(square @ words[:, labels] + pair_square @ pairs[:, labels], least))
    character_norm = np.sqrt(np.maximum(factor @ words[:, -1], least))
    logits = factor[:, None] * (words[:, :labels] / word_norm + words[:, labels + 1 : -1] / character_norm)
    halves = (0.5 * pair_factor)[:, None] * pairs[:, :labels] / word_norm
    logits += halves
    logits[1:] += halves[:-1]  # the last token has no next one, so its row is 0
    return logits, bias


def _shares(numbers: npt.NDArray[np.int64], step: float) -> tuple[FloatArray, FloatArray]:
    """Return what each occurrence counts, an equal part of its row's damped frequency ``f``; and of ``f²``."""
    _, inverse, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    damped = 1.0 + step * np.searchsorted(_STEPS, counts, side="right")
    return (damped / counts)[inverse], (damped**2 / counts)[inverse]


def _pair_rows(ids: npt.NDArray[np.int64], tables: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.int64]:
    """Return the row of each token's pair with the next one, 0 for none: one of two slots holds its key."""
    after = np.append(ids[1:], 0)
    keys = np.where((ids >= FIRST_ID) & (after >= FIRST_ID), ids * int(tables["size"]) + after, int(tables["no_key"]))
    slots, numbers = tables["slots"], tables["numbers"]
    found = np.zeros(len(ids), dtype=np.int64)
    for choice in ("choice0", "choice1"):
        hashed = ids * int(tables[f"{choice}.a"]) + after * int(tables[f"{choice}.b"])
        slot = hashed % len(slots)
        found = np.maximum(found, np.where(slots[slot] == keys, numbers[slot], 0))
    return found

"""LSTM and GRU over whole texts in NumPy, and their gradients: what ONNX's operators compute, in float64.

Every row of a batch has the same length. The equations are those of the operators' specifications (onnx Operators.md),
the GRU with ``linear_before_reset=1``; the gradients are back-propagation through time (Werbos 1990).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

#: Takes gradients ``[time, rows, hidden]`` of the outputs; returns those of the inputs, ``[time, rows, in]``.
Backward = Callable[[FloatArray], FloatArray]


class Direction(NamedTuple):
    """Weights of one direction: ``w [gates·hidden, in]``, ``r [gates·hidden, hidden]``, ``b [2·gates·hidden]``."""

    w: FloatArray
    r: FloatArray
    b: FloatArray


def run_lstm(x: FloatArray, of: Direction) -> tuple[FloatArray, Backward]:
    """Return outputs ``[time, rows, hidden]`` for inputs ``[time, rows, in]``, and what gives their gradients."""
    steps, rows, size = len(x), x.shape[1], of.r.shape[1]
    gates = x @ of.w.T + of.b[: 4 * size] + of.b[4 * size :]  # input, output, forget, cell
    y, cells = np.empty((steps, rows, size)), np.zeros((steps + 1, rows, size))
    h = np.zeros((rows, size))
    for t in range(steps):
        gate = gates[t]
        gate += h @ of.r.T
        gate[:, : 3 * size] = _sigmoid(gate[:, : 3 * size])
        np.tanh(gate[:, 3 * size :], out=gate[:, 3 * size :])
        i, o, f, c = np.split(gate, 4, axis=1)
        cells[t + 1] = f * cells[t] + i * c
        h = y[t] = o * np.tanh(cells[t + 1])

    def backward(dy: FloatArray) -> FloatArray:
        d = np.empty_like(gates)
        dh, dc = np.zeros((rows, size)), np.zeros((rows, size))
        for t in reversed(range(steps)):
            i, o, f, c = np.split(gates[t], 4, axis=1)
            dh = dh + dy[t]
            squashed = np.tanh(cells[t + 1])
            dc = dc + dh * o * (1.0 - squashed**2)
            d[t, :, :size] = dc * c * i * (1.0 - i)
            d[t, :, size : 2 * size] = dh * squashed * o * (1.0 - o)
            d[t, :, 2 * size : 3 * size] = dc * cells[t] * f * (1.0 - f)
            d[t, :, 3 * size :] = dc * i * (1.0 - c**2)
            dh, dc = d[t] @ of.r, dc * f
        return d @ of.w

    return y, backward


def run_gru(x: FloatArray, of: Direction) -> tuple[FloatArray, Backward]:
    """Do for a GRU what :func:`run_lstm` does for an LSTM."""
    steps, rows, size = len(x), x.shape[1], of.r.shape[1]
    two = 2 * size
    gates = x @ of.w.T + of.b[: 3 * size]  # update, reset, hidden
    gates[:, :, :two] += of.b[3 * size : 5 * size]
    y, recurrent = np.zeros((steps + 1, rows, size)), np.empty((steps, rows, size))
    for t in range(steps):
        gate, before = gates[t], y[t]
        gate[:, :two] = _sigmoid(gate[:, :two] + before @ of.r[:two].T)
        z, r = gate[:, :size], gate[:, size:two]
        recurrent[t] = before @ of.r[two:].T + of.b[5 * size :]
        gate[:, two:] = np.tanh(gate[:, two:] + r * recurrent[t])
        y[t + 1] = (1.0 - z) * gate[:, two:] + z * before

    def backward(dy: FloatArray) -> FloatArray:
        d = np.empty_like(gates)
        dh = np.zeros((rows, size))
        for t in reversed(range(steps)):
            z, r, n = np.split(gates[t], 3, axis=1)
            dh = dh + dy[t]
            dn = dh * (1.0 - z) * (1.0 - n**2)
            d[t, :, :size] = dh * (y[t] - n) * z * (1.0 - z)
            d[t, :, size:two] = dn * recurrent[t] * r * (1.0 - r)
            d[t, :, two:] = dn
            dh = dh * z + d[t, :, :two] @ of.r[:two] + (dn * r) @ of.r[two:]
        return d @ of.w

    return y[1:], backward


def _sigmoid(x: FloatArray) -> FloatArray:
    half: FloatArray = 0.5 * np.tanh(0.5 * x) + 0.5  # never overflows
    return half

"""The recurrent part of a bundle's model in NumPy: token vectors in, logits out, and the gradients back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sortgate.explain.cells import Backward, Direction, FloatArray, run_gru, run_lstm
from sortgate.explain.weights import Layer, Weights

#: Takes gradients ``[rows, labels]`` of the logits; returns those of the vectors, ``[time, rows, embedding]``.
Gradients = Callable[[FloatArray], FloatArray]


def run_network(vectors: FloatArray, weights: Weights) -> tuple[FloatArray, Gradients]:
    """Return logits ``[rows, labels]`` for token vectors ``[time, rows, embedding]``, and what gives the gradients.

    Layers, the maximum and the mean over time, and the output layer: ``sortgate_training.graph`` without its mask,
    since all rows are of one length.
    """
    x, backwards = vectors, []
    for layer in weights.layers:
        x, backward = _run_layer(x, layer, run_gru if weights.cell == "gru" else run_lstm)
        backwards.append(backward)
    steps, largest = len(x), x.argmax(axis=0)
    pooled = np.concatenate([np.take_along_axis(x, largest[None], axis=0)[0], x.mean(axis=0)], axis=1)
    width = x.shape[2]

    def gradients(d: FloatArray) -> FloatArray:
        of_pooled = d @ weights.output
        dx = np.broadcast_to(of_pooled[:, width:] / steps, x.shape).copy()
        at = np.take_along_axis(dx, largest[None], axis=0)
        np.put_along_axis(dx, largest[None], at + of_pooled[None, :, :width], axis=0)
        for backward in reversed(backwards):
            dx = backward(dx)
        return dx

    return pooled @ weights.output.T + weights.bias, gradients


def _run_layer(
    x: FloatArray, layer: Layer, run: Callable[[FloatArray, Direction], tuple[FloatArray, Backward]]
) -> tuple[FloatArray, Backward]:
    """Run one layer, its second direction from the end of the text to its beginning."""
    made = []
    for number in range(len(layer.w)):
        direction = Direction(layer.w[number], layer.r[number], layer.b[number])
        turn = -1 if number else 1
        y, backward = run(x[::turn], direction)
        made.append((y[::turn], backward, turn))
    size = layer.r.shape[2]

    def backward_layer(dy: FloatArray) -> FloatArray:
        parts = np.split(dy, range(size, dy.shape[2], size), axis=2)
        dx: FloatArray = np.sum(
            [back(part[::turn])[::turn] for (_, back, turn), part in zip(made, parts, strict=True)], axis=0
        )
        return dx

    return np.concatenate([y for y, _, _ in made], axis=2), backward_layer

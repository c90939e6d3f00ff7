"""Integrated gradients (Sundararajan, Taly & Yan 2017) of a bundle's model, with NumPy alone.

The path goes from the reference, a text of as many unknown tokens, straight to the text: in the recurrent part from
the unknown token's vector to each token's own, in the n-gram part from the reference's logits to the text's, which
are told apart by token exactly. At each point of it the derivative of the label's log-odds is divided among the tokens.
Its integral over the path is what the log-odds gain from the reference to the text, so the contributions sum to that.
"""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from sortgate.errors import InferenceError
from sortgate.explain.cells import FloatArray
from sortgate.explain.network import run_network
from sortgate.explain.ngrams import token_logits
from sortgate.explain.scale import Scale
from sortgate.explain.weights import Weights, read_weights
from sortgate.inference import Classifier
from sortgate.vocabulary import UNKNOWN_ID

#: The path is cut into so many pieces, with derivatives at so many points of each.
PIECES, POINTS = 8, 4
#: The log-odds at both ends of a piece say what its contributions must sum to. Pieces are halved until what they miss
#: is below this share of the whole, or there are too many points. A unit that comes to hold the maximum over time, or
#: a state that tips over, makes a kink or a step in the path, so that no fixed number of points is enough.
ACCURACY, MOST_POINTS = 0.01, 1_024
#: Points times tokens that go through NumPy at a time, for the memory; about 2 KiB each with 64 units.
_AT_ONCE = 8_192
#: Multiplications in one product of matrices. OpenBLAS gives larger ones to several threads, which wait for each other
#: by spinning: where the other cores are taken, as in a worker, that took 30 times as long.
_ONE_THREAD = 262_144
#: How far NumPy's logits may be from ONNX Runtime's; int8 rounds what it reads, which float64 does not repeat.
TOLERANCE = {"float32": 1e-3, "int8": 0.5}

_read: WeakKeyDictionary[Classifier, Weights] = WeakKeyDictionary()


def weights_of(classifier: Classifier) -> Weights:
    """Return the weights of a classifier's model, read once.

    Raises:
        InferenceError: it is no bundle, or its model is not laid out as training lays it out.
    """
    if classifier not in _read:
        if classifier.bundle is None:
            raise InferenceError("this classifier is no bundle yet, and gradients are computed from a bundle's model")
        info = classifier.manifest.model
        _read[classifier] = read_weights(classifier.bundle.read(info.file), info.cell)
    return _read[classifier]


def integrate(
    classifier: Classifier, scale: Scale, ids: npt.NDArray[np.int64], logits: FloatArray
) -> tuple[FloatArray, int]:
    """Return each token's contribution ``[time]`` to the log-odds, and the number of points of the path.

    Args:
        classifier: whose model is meant.
        scale: of the label.
        ids: ``[time]``.
        logits: ``[2, labels]`` of the text and of the reference, as ONNX Runtime gives them.

    Raises:
        InferenceError: NumPy does not come to these logits, so its gradients would be another model's.
    """
    path = _Path(weights_of(classifier), scale, ids)
    path.check(logits, TOLERANCE[classifier.manifest.model.precision])
    edges = np.linspace(0.0, 1.0, PIECES + 1)
    values = path.log_odds(edges)
    allowed = ACCURACY * max(1.0, abs(float(values[-1] - values[0])))
    done, points = np.zeros(len(ids)), 0
    starts, ends = edges[:-1], edges[1:]
    gains = np.diff(values)  # of the pieces that are not done yet
    while True:
        found = path.integrals(starts, ends)  # [pieces, time]
        points += POINTS * len(starts)
        missing = np.abs(gains - found.sum(axis=1))
        coarse = missing > 0.5 * allowed / len(missing)
        if missing.sum() <= allowed or points + 2 * POINTS * coarse.sum() > MOST_POINTS:
            return done + found.sum(axis=0), points
        done += found[~coarse].sum(axis=0)
        allowed = max(allowed - float(missing[~coarse].sum()), 0.0)
        starts, ends, gains = path.halves(starts[coarse], ends[coarse], gains[coarse])


class _Path:
    """Points ``at`` from 0, the reference, to 1, the text."""

    def __init__(self, weights: Weights, scale: Scale, ids: npt.NDArray[np.int64]) -> None:
        self._weights, self._scale = weights, scale
        unknown = np.full_like(ids, UNKNOWN_ID)
        self._begin = weights.embedding[UNKNOWN_ID].astype(np.float64)
        self._way = weights.embedding[ids].astype(np.float64) - self._begin  # [time, embedding]
        shape = (len(ids), len(weights.bias))
        products = max(max(layer.w[0].size, layer.r[0].size) for layer in weights.layers)
        self._rows = max(1, min(_ONE_THREAD // products, _AT_ONCE // len(ids)))
        self._tokens, self._start = np.zeros(shape), np.zeros(shape[1])  # n-gram logits
        if weights.tables:
            try:
                own, bias = token_logits(ids, weights.tables)
                nothing, _ = token_logits(unknown, weights.tables)
            except KeyError as error:
                raise InferenceError(f"the model's n-gram path stores no {error}: `sortgate train` writes it") from None
            self._tokens, self._start = own - nothing, nothing.sum(axis=0) + bias

    def logits(self, at: FloatArray) -> tuple[FloatArray, Callable[[FloatArray], FloatArray]]:
        """Return logits ``[points, labels]``, and what gives the derivatives by the vectors."""
        vectors = self._begin + at[None, :, None] * self._way[:, None, :]  # [time, points, embedding]
        logits, gradients = run_network(vectors, self._weights)
        return logits + self._start + at[:, None] * self._tokens.sum(axis=0), gradients

    def log_odds(self, at: FloatArray) -> FloatArray:
        """Return the label's log-odds at points of the path."""
        parts = [self.logits(at[first : first + self._rows])[0] for first in range(0, len(at), self._rows)]
        return self._scale.log_odds(np.concatenate(parts))

    def check(self, logits: FloatArray, tolerance: float) -> None:
        """Compare with what ONNX Runtime says of the text and the reference."""
        difference = float(np.abs(self.logits(np.array([1.0, 0.0]))[0] - logits).max())
        if not difference <= tolerance:
            raise InferenceError(
                f"the model is not computed as `sortgate train` lays it out: logits differ by {difference:.3g} from "
                "ONNX Runtime's, so its gradients are not known; occlusion is"
            )

    def integrals(self, starts: FloatArray, ends: FloatArray) -> FloatArray:
        """Return the integrals ``[pieces, time]`` over pieces of the path, by Gauss's and Legendre's rule."""
        nodes, shares = np.polynomial.legendre.leggauss(POINTS)
        half = 0.5 * (ends - starts)
        found = np.empty((len(starts), len(self._way)))
        pieces = max(1, self._rows // POINTS)
        for first in range(0, len(starts), pieces):
            rows = slice(first, first + pieces)
            at = (starts[rows, None] + half[rows, None] * (1.0 + nodes)).ravel()
            logits, gradients = self.logits(at)
            share = (half[rows, None] * shares).reshape(-1, 1) * self._scale.gradients(logits)  # [points, labels]
            by_token = np.einsum("tpe,te->pt", gradients(share), self._way) + share @ self._tokens.T
            found[rows] = by_token.reshape(-1, POINTS, len(self._way)).sum(axis=1)
        return found

    def halves(
        self, starts: FloatArray, ends: FloatArray, gains: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the halves of pieces: where they start and end, and what the log-odds gain over each."""
        middles = 0.5 * (starts + ends)
        first = self.log_odds(middles) - self.log_odds(starts)
        return (
            np.concatenate([starts, middles]),
            np.concatenate([middles, ends]),
            np.concatenate([first, gains - first]),
        )

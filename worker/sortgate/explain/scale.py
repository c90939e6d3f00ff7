"""The scale on which contributions are given: the log-odds of one label's calibrated probability.

A probability near 0 or 1 hardly moves, whatever a token says; its log-odds ``ln(p / (1 − p))`` do. Their difference of
1 multiplies the odds by 2.7, and 0 is a probability of one half.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sortgate.bundle import Manifest

FloatArray = npt.NDArray[np.float64]


class Scale:
    """Turns logits into one label's probability and log-odds, as :class:`~sortgate.inference.scoring.Scorer` would.

    Args:
        manifest: of the bundle.
        label: number of the label.
    """

    def __init__(self, manifest: Manifest, label: int) -> None:
        self._temperature = manifest.temperature
        self._multi_label = manifest.task == "multi_label"
        self._label = label

    def log_odds(self, logits: npt.NDArray[np.floating]) -> FloatArray:
        """Return the label's log-odds ``[rows]`` for logits ``[rows, labels]``."""
        scaled = logits.astype(np.float64) / self._temperature
        own = scaled[:, self._label]
        if self._multi_label:
            return own
        others = np.delete(scaled, self._label, axis=1)
        top = others.max(axis=1)
        difference: FloatArray = own - top - np.log(np.exp(others - top[:, None]).sum(axis=1))
        return difference

    def gradients(self, logits: FloatArray) -> FloatArray:
        """Return the derivatives ``[rows, labels]`` of the log-odds by the logits."""
        made = np.zeros_like(logits)
        if not self._multi_label:
            scaled = logits / self._temperature
            scaled[:, self._label] = -np.inf
            made -= np.exp(scaled - scaled.max(axis=1, keepdims=True))
            made /= -made.sum(axis=1, keepdims=True)
        made[:, self._label] = 1.0
        return made / self._temperature


def probability(log_odds: float) -> float:
    """Return the probability with these log-odds."""
    return float(0.5 * np.tanh(0.5 * log_odds) + 0.5)

"""Temperature scaling finds the temperature that was applied."""

from __future__ import annotations

import numpy as np
import pytest

from sortgate_training.calibration import HIGHEST, LOWEST, fit_temperature, negative_log_likelihood


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_true_temperature_is_found(temperature: float) -> None:
    generator = np.random.default_rng(0)
    honest = generator.standard_normal((20_000, 4)).astype(np.float32) * 2
    probabilities = np.exp(honest) / np.exp(honest).sum(axis=1, keepdims=True)
    targets = (probabilities.cumsum(axis=1) > generator.random((len(honest), 1))).argmax(axis=1)
    found = fit_temperature(honest * temperature, targets)
    assert found == pytest.approx(temperature, rel=0.05)
    scaled = honest * temperature
    assert negative_log_likelihood(scaled, targets, found) <= negative_log_likelihood(scaled, targets)


def test_easy_texts_stay_within_bounds() -> None:
    logits = np.array([[5.0, -5.0], [-5.0, 5.0]], dtype=np.float32)
    assert fit_temperature(logits, np.array([0, 1])) == pytest.approx(LOWEST, rel=0.1)
    assert fit_temperature(logits, np.array([1, 0])) == pytest.approx(HIGHEST, rel=0.1)

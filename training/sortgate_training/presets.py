"""Presets: names for sets of configuration values; whatever else is set wins over them."""

from __future__ import annotations

from typing import Any

#: Preset → dotted key → value. ``balanced`` is the defaults themselves.
PRESETS: dict[str, dict[str, Any]] = {
    # two thirds of the time to serve; the n-gram path, fitted as ever, keeps most of the accuracy
    "fast": {"model.hidden": 32, "model.embedding": 64, "epochs": 4, "patience": 2},
    "balanced": {},
    # twice the time to serve, three times the time to train; gains nothing on a few thousand texts
    "max": {"model.hidden": 128, "epochs": 20, "patience": 6},
}

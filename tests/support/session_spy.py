"""Counts the sessions that ONNX Runtime really creates."""

from __future__ import annotations

from typing import Any

import pytest

from sortgate.inference.runtime import import_onnxruntime


def spy_on_sessions(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return a list that gains an item whenever an ``InferenceSession`` is created, before it sees its model."""
    created: list[object] = []
    onnxruntime = import_onnxruntime()
    real = onnxruntime.InferenceSession

    class Spy(real):  # type: ignore[misc, valid-type]  # ONNX Runtime is untyped
        def __init__(self, *args: Any, **options: Any) -> None:
            created.append(self)
            super().__init__(*args, **options)

    monkeypatch.setattr(onnxruntime, "InferenceSession", Spy)
    return created

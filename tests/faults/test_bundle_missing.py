"""A worker whose bundle cannot be loaded ends with a clear message instead of starting processes for ever."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize("damage", ["removed", "changed byte", "golden answers differ"])
def test_worker_refuses_a_damaged_bundle(
    start_worker: Callable[..., Any], make_bundle: Callable[..., Path], tmp_path: Path, damage: str
) -> None:
    options = {"spoil_golden": True} if damage == "golden answers differ" else {}
    bundle = make_bundle(tmp_path / "models" / "toy", **options)
    model = bundle / "model.onnx"
    if damage == "removed":
        model.unlink()
    elif damage == "changed byte":
        data = bytearray(model.read_bytes())
        data[len(data) // 2] ^= 1
        model.write_bytes(data)
    worker = start_worker(models=tmp_path / "models", ready=False)
    assert worker.process.wait(30) == 78
    output = worker.output()
    assert "Traceback" not in output
    assert sum("golden" in line or "model.onnx" in line for line in output.splitlines()) <= 2
    assert "golden" in output if damage == "golden answers differ" else "model.onnx" in output

"""Damaged models: the check accepts or refuses, never fails otherwise; what it accepts does not crash ONNX Runtime."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sortgate.bundle import check_onnx
from sortgate.errors import UnsafeModelError
from sortgate_training.graph import random_model

MODEL = random_model(12, 2, hidden=2, embedding=2)

positions = st.integers(0, len(MODEL) - 1)


def check(data: bytes) -> bool:
    try:
        check_onnx(data)
    except UnsafeModelError:
        return False
    return True


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    assert not check(data)


@given(st.lists(st.tuples(positions, st.integers(0, 255)), min_size=1, max_size=8))
def test_changed_bytes(changes: list[tuple[int, int]]) -> None:
    data = bytearray(MODEL)
    for position, value in changes:
        data[position] = value
    check(bytes(data))


@given(positions, st.binary(max_size=12), st.integers(0, 12))
def test_inserted_and_removed_bytes(position: int, inserted: bytes, removed: int) -> None:
    check(MODEL[:position] + inserted + MODEL[position + removed :])


@given(positions, positions, positions)
def test_copied_parts(start: int, end: int, target: int) -> None:
    check(MODEL[:target] + MODEL[min(start, end) : max(start, end)] + MODEL[target:])


LOADER = """
import random, sys
import numpy as np
from sortgate.inference.runtime import import_onnxruntime
onnxruntime = import_onnxruntime()
from sortgate.bundle import check_onnx
from sortgate.errors import UnsafeModelError
onnxruntime.set_default_logger_severity(4)
model = open(sys.argv[1], "rb").read()
generator = random.Random(int(sys.argv[2]))
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
accepted = 0
for _ in range(int(sys.argv[3])):
    data = bytearray(model)
    for _ in range(generator.choice((1, 1, 2, 4))):
        data[generator.randrange(len(data))] = generator.choice((0, 1, 2, 255, generator.randrange(256)))
    try:
        check_onnx(bytes(data))
    except UnsafeModelError:
        continue
    accepted += 1
    try:
        session = onnxruntime.InferenceSession(bytes(data), options, providers=["CPUExecutionProvider"])
        session.run(None, {"ids": np.ones((3, 5), np.int32), "lengths": np.array([5, 1, 3], np.int32)})
    except Exception:
        pass  # an error is fine, a crash would end the process
print(accepted)
"""


@pytest.mark.parametrize(("cell", "pairs"), [("lstm", None), ("gru", None), ("lstm", 20)])
def test_accepted_models_do_not_crash_onnx_runtime(tmp_path: Path, cell: Any, pairs: int | None) -> None:
    model = random_model(12, 2, hidden=2, embedding=2, cell=cell, pairs=pairs)
    (tmp_path / "model.onnx").write_bytes(model)
    done = subprocess.run(
        [sys.executable, "-c", LOADER, tmp_path / "model.onnx", "1", "1500"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-1000:]
    assert int(done.stdout) > 50

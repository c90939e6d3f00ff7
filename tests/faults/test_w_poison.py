"""W: texts that starve, hang or crash a process or make ONNX Runtime fail, and broken bundles."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from faultrun import FAST, SLACK_S, FaultRun, texts
from poison import POISON_PLUGIN, with_plugin
from sortgate import keys

StartWorker = Callable[..., Any]


MakeBundle = Callable[..., Path]


POISONS = [
    pytest.param("killme", "dead", "worker_lost", id="w1-killed"),
    pytest.param("hangs", "dead", "timed_out", id="w8-hangs"),
    pytest.param("redos", "dead", "timed_out", id="w8-redos"),
    pytest.param("segfault", "dead", "worker_lost", id="w9-segfault"),
    pytest.param("raises", "error", "component_failed", id="g15-raises"),
    pytest.param("eats", "error", "component_failed", id="w7-out-of-memory"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("poison", "status", "code"), POISONS)
def test_w1_w7_w8_w9_a_poison_text_is_isolated(
    start_worker: StartWorker,
    make_bundle: MakeBundle,
    run: FaultRun,
    tmp_path: Path,
    poison: str,
    status: str,
    code: str,
) -> None:
    limit_s = 1.0 if code == "timed_out" else 20.0
    serving = with_plugin(make_bundle, tmp_path, POISON_PLUGIN)
    before = time.monotonic()
    limits = {"SORTGATE_BATCH_TIMEOUT_S": str(limit_s), "SORTGATE_BATCH_MEMORY_BYTES": "400000000"}
    worker = start_worker(**serving, **limits, **FAST)
    start_s = time.monotonic() - before
    batch = texts(200)
    batch[77] = f"this text {poison} the worker secretly"
    started = time.monotonic()
    ids = run.submit(batch)
    run.check()
    if code == "timed_out":  # five deliveries, each stopped in time and its process replaced
        assert time.monotonic() - started < 5 * (1.2 * limit_s + start_s) + SLACK_S
    assert [i for i, ident in enumerate(ids) if run.results[ident].status != "ok"] == [77]
    assert (run.results[ids[77]].status, run.results[ids[77]].code) == (status, code)
    [(_, copy)] = run.redis.xrange(keys.dead("toy"))
    assert copy["text"] == batch[77]
    assert "says hello" not in worker.output(), "message text never appears in logs, not even at level debug"
    assert "secretly" not in worker.output()
    assert "secretly" not in (run.results[ids[77]].message or "")


def fails_from_50_tokens(model: bytes) -> bytes:
    """Make ONNX Runtime raise for batches that are 50 tokens or longer: an index is out of a table's range."""
    graph = onnx.load_from_string(model)
    last = next(node for node in graph.graph.node if "logits" in node.output)
    last.output[0] = "logits.sound"
    graph.graph.initializer.append(numpy_helper.from_array(np.zeros(50, np.float32), "table"))
    graph.graph.initializer.append(numpy_helper.from_array(np.array(1, np.int64), "unit"))
    graph.graph.node.append(helper.make_node("Sub", ["steps", "unit"], ["last_step"]))
    graph.graph.node.append(helper.make_node("Gather", ["table", "last_step"], ["nothing"]))
    graph.graph.node.append(helper.make_node("Add", ["logits.sound", "nothing"], ["logits"]))
    return bytes(graph.SerializeToString())


@pytest.mark.slow
def test_w9_a_text_on_which_onnx_runtime_fails_is_isolated(
    start_worker: StartWorker, make_bundle: MakeBundle, run: FaultRun, tmp_path: Path
) -> None:
    make_bundle(tmp_path / "models" / "toy", alter=fails_from_50_tokens)
    worker = start_worker(models=tmp_path / "models", **FAST)
    children = set(worker.children)
    batch = texts(200)
    batch[77] = "secretly " * 60
    ids = run.submit(batch)
    run.check()
    assert [i for i, ident in enumerate(ids) if run.results[ident].status != "ok"] == [77]
    failed = run.results[ids[77]]
    assert (failed.status, failed.code) == ("dead", "inference_failed")
    assert "ONNX Runtime failed on a batch [1, 60]" in (failed.message or "")
    assert run.redis.xlen(keys.dead("toy")) == 1
    assert set(worker.children) == children, "no process had to die for it"
    assert "secretly" not in worker.output()


@pytest.mark.parametrize("damage", ["removed", "changed byte", "golden answers differ"])
def test_w10_a_damaged_bundle_ends_the_worker_at_once(
    start_worker: StartWorker, make_bundle: MakeBundle, tmp_path: Path, damage: str
) -> None:
    """Instead of starting processes for ever."""
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

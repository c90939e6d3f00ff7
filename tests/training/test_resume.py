"""A run that is killed, wherever, goes on to the very model that it would have come to; what cannot go on says why."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sortgate.bundle import Bundle
from sortgate.cli import run
from sortgate_training import checkpoint, folderlock
from sortgate_training.cli.train import RUN_FOLDER

Rows = list[tuple[str, str]]
SETTINGS = (
    "refit=false",
    "model.hidden=8",
    "model.embedding=16",
    "batch_size=16",
    "optimizer.learning_rate=0.01",
    "patience=9",
)


@pytest.fixture(scope="module")
def data(
    tmp_path_factory: pytest.TempPathFactory, rows: Callable[..., Rows], write_rows: Callable[[Path, Rows], Path]
) -> Path:
    return write_rows(tmp_path_factory.mktemp("data") / "train.csv", rows(1_500))


def command(data: Path, out: Path, *arguments: str) -> list[str]:
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    often = ("--checkpoint-every", "0.1", "--threads", "1", "--epochs", "5")
    return ["train", str(data), "--out", str(out), *often, *settings, *arguments]


def start(arguments: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as file:
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        return subprocess.Popen(
            [sys.executable, "-m", "sortgate", *arguments], stdout=file, stderr=file, env=environment
        )


def kill(arguments: list[str], folder: Path, log: Path, after_s: float) -> bool:
    """Kill the command that long after its next checkpoint; returns whether it was still at work."""
    before = stamp(folder)
    process = start(arguments, log)
    try:
        deadline = time.monotonic() + 90
        while stamp(folder) == before and process.poll() is None:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.01)
        time.sleep(after_s)
        return process.poll() is None
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def stamp(folder: Path) -> int:
    path = folder / checkpoint.NAME
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "toy"
    assert run(command(data, out, "--quiet")) == 0
    return out


@pytest.fixture(scope="module")
def killed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of versions of a run killed in its first second of training, with two checkpoints."""
    out = tmp_path_factory.mktemp("killed") / "toy"
    assert kill(command(data, out), out / ".run", out.parent / "log", 0.6), (out.parent / "log").read_text()
    return out


def test_killed_at_random_moments_the_model_is_the_same(data: Path, whole: Path, tmp_path: Path) -> None:
    out, log = tmp_path / "toy", tmp_path / "log"
    generator = random.Random(0)
    kills = 0
    for attempt in range(4):
        resume = ("--resume",) if attempt else ()
        if not kill(command(data, out, *resume), out / ".run", log, generator.uniform(0.0, 0.7)):
            break
        kills += 1
    assert kills >= 2, log.read_text()
    if (out / ".run" / checkpoint.NAME).exists() or (out / ".run" / checkpoint.PREVIOUS).exists():
        process = start(command(data, out, "--resume"), log)
        assert process.wait(120) == 0, log.read_text()
        assert "going on after epoch" in log.read_text()
    one, other = Bundle.open(whole).manifest, Bundle.open(out).manifest
    assert one.files["model.onnx"] == other.files["model.onnx"]
    assert one.metrics["test"] == other.metrics["test"]
    assert one.temperature == other.temperature
    assert not list((out / ".run").glob("*.npz*")), "a finished run leaves no checkpoint"
    record = json.loads((out / ".run" / "run.json").read_text())
    assert record["status"] == "finished"
    logged = [json.loads(line)["number"] for line in (out / ".run" / "train.log").read_text().splitlines()]
    assert sorted(set(logged)) == [1, 2, 3, 4, 5]


def copy(killed: Path, to: Path) -> Path:
    folder = to / "toy" / ".run"
    folder.mkdir(parents=True)
    for path in (killed / ".run").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.mark.parametrize("damage", ["cut", "altered", "empty"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    data: Path, whole: Path, killed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    folder = copy(killed, tmp_path)
    content = bytearray((folder / checkpoint.NAME).read_bytes())
    if damage == "altered":
        # a stretch: a single byte may be one of the archive's own that nothing depends on
        middle = len(content) // 2
        content[middle : middle + 512] = bytes(byte ^ 0xFF for byte in content[middle : middle + 512])
    (folder / checkpoint.NAME).write_bytes({"cut": content[: len(content) // 3], "empty": b""}.get(damage, content))
    assert run(command(data, folder.parent, "--resume")) == 0
    said = capsys.readouterr().err
    assert "checkpoint.npz is damaged" in said
    assert "going on from the one before" in said
    assert Bundle.open(folder.parent).manifest.files["model.onnx"] == Bundle.open(whole).manifest.files["model.onnx"]


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert run(arguments) not in {0, None}
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if line.startswith("sortgate: error: ")] == lines[-1:]
    return lines[-1]


def test_no_whole_checkpoint(data: Path, killed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = copy(killed, tmp_path)
    for name in (checkpoint.NAME, checkpoint.PREVIOUS):
        (folder / name).write_bytes(b"PK\x03\x04")
    assert "no checkpoint is whole" in refused(command(data, folder.parent, "--resume"), capsys)


def test_a_resume_with_something_else_is_refused(
    data: Path, killed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy(killed, tmp_path)
    out = folder.parent
    other = ["--resume", "--set", "optimizer.learning_rate=0.02"]
    assert "optimizer.learning_rate 0.01, which is 0.02 now" in refused(command(data, out, *other), capsys)
    assert "threads 1, which is 2 now" in refused(command(data, out, "--resume", "--threads", "2"), capsys)
    altered = tmp_path / "other.csv"
    altered.write_text(data.read_text() + "one more text,label a\n")
    assert "texts are not those that the run" in refused(command(altered, out, "--resume"), capsys)
    record = json.loads((folder / "run.json").read_text())
    record["identity"]["versions"]["torch"] = "1.0"
    (folder / "run.json").write_text(json.dumps(record))
    assert 'started with torch "1.0"' in refused(command(data, out, "--resume"), capsys)
    (folder / "run.json").write_text("{")
    assert "run.json cannot be read" in refused(command(data, out, "--resume"), capsys)
    assert (folder / checkpoint.NAME).exists()


PLUGIN = """
from sortgate import hookimpl

@hookimpl
def sortgate_register_normalizers(register):
    register("zz.lower.v1", lambda: str.lower)
"""


def test_a_resume_with_a_changed_plugin_is_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its weights would be of other tokens than the bundle's pin says."""
    plugin = tmp_path / "plugins" / "lower.py"
    plugin.parent.mkdir()
    plugin.write_text(PLUGIN)
    arguments = command(data, tmp_path / "bundle", "--plugins-dir", str(plugin.parent),
                        "--set", 'text.normalizers=["zz.lower.v1"]')  # fmt: skip
    assert kill(arguments, tmp_path / "bundle" / RUN_FOLDER, tmp_path / "log", 0.0)
    plugin.write_text(PLUGIN.replace("str.lower", "str.upper"))
    assert 'was started with components.zz.lower.v1 "file:lower.py ' in refused([*arguments, "--resume"], capsys)
    plugin.write_text(PLUGIN)
    assert run([*arguments, "--resume"]) == 0


def test_an_unfinished_run_is_never_lost_silently(
    data: Path, killed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy(killed, tmp_path)
    assert "with --resume goes on with it, with --fresh" in refused(command(data, folder.parent), capsys)
    assert (folder / checkpoint.NAME).read_bytes() == (killed / ".run" / checkpoint.NAME).read_bytes()
    assert "one of them only" in refused(command(data, folder.parent, "--resume", "--fresh"), capsys)
    assert run(command(data, folder.parent, "--fresh", "--quiet")) == 0
    assert "no unfinished run" in refused(command(data, folder.parent, "--resume"), capsys)


@pytest.fixture
def alive(data: Path, tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """Start a run, stop it once it has a checkpoint, and return its process's number and folder."""
    folder, log = tmp_path / "toy" / RUN_FOLDER, tmp_path / "log"
    process = start(command(data, folder.parent), log)
    try:
        deadline = time.monotonic() + 90
        while not stamp(folder) and process.poll() is None:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.01)
        process.send_signal(signal.SIGSTOP)
        assert process.poll() is None, log.read_text()
        yield process.pid, folder
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def test_a_run_that_is_alive_is_left_alone(
    data: Path, alive: tuple[int, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    number, folder = alive
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for choice in ([], ["--resume"], ["--fresh"]):
        assert run(command(data, folder.parent, *choice)) == 78
        says = f"a training is writing there now (process {number}); wait for it, or take another --out"
        assert capsys.readouterr().err == f"sortgate: error: {folder}: {says}\n"
    elsewhere = command(data, folder.parent.with_name("other"), "--run-folder", str(folder))
    assert "or take another --run-folder" in refused(elsewhere, capsys)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert not folder.parent.with_name("other").exists()
    assert run([*command(data, folder.parent), "--find-lr", "--quiet"]) == 0, "which needs no run folder"
    os.kill(number, signal.SIGKILL)
    os.waitid(os.P_PID, number, os.WEXITED | os.WNOWAIT)
    assert run(command(data, folder.parent, "--resume", "--quiet")) == 0


def test_a_run_is_alive_before_its_first_checkpoint_too(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, log = tmp_path / "toy" / RUN_FOLDER, tmp_path / "log"
    os.mkfifo(tmp_path / "never.csv")
    process = start(command(tmp_path / "never.csv", folder.parent), log)
    try:
        deadline = time.monotonic() + 90
        while not ((folder / folderlock.NAME).exists() and (folder / folderlock.NAME).read_text()):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.01)
        assert f"(process {process.pid})" in refused(command(data, folder.parent), capsys)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert [path.name for path in folder.iterdir()] == [folderlock.NAME]


def test_a_checkpoint_holds_no_pickle(tmp_path: Path) -> None:
    import numpy as np

    path = tmp_path / checkpoint.NAME
    np.savez(path, allow_pickle=True, facts=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="damaged"):
        checkpoint.read_arrays(path)


def test_a_failed_write_leaves_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.save(tmp_path, checkpoint.Checkpoint({"step": 1}, {}))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(tmp_path, checkpoint.Checkpoint({"step": 2}, {}))
    found = checkpoint.load(tmp_path, print)
    assert found is not None
    assert found.facts["step"] == 1
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint.NAME], "a full disk is left as it was"

"""Nothing that goes wrong in the second training costs the classifier of the first."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from refitting import command, train
from sortgate.bundle import Bundle, Manifest
from sortgate.cli import run
from sortgate.errors import TrainingError
from sortgate_training import checkpoint, refit
from sortgate_training import run as run_module
from sortgate_training.interrupt import stop_on_signals
from sortgate_training.joining import weigh_and_join
from sortgate_training.runfolder import RunFolder

Rows = list[tuple[str, str]]


@pytest.mark.parametrize("error", [TrainingError("no luck"), MemoryError(), KeyboardInterrupt()])
def test_when_it_comes_to_nothing_the_first_is_served(
    files: Path, first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], error: BaseException,
) -> None:  # fmt: skip
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(refit, "fit", fail)
    assert run(command("--out", str(tmp_path / "toy"), str(files))) == 0
    said = capsys.readouterr().err
    assert "the classifier of the first one is served" in said
    manifest = Bundle.open(tmp_path / "toy").manifest
    assert manifest.files["model.onnx"] == Bundle.open(first).manifest.files["model.onnx"]
    assert "refit" not in manifest.metrics
    assert any("the classifier of the first one is served" in note for note in manifest.metrics["notes"])


def test_a_second_ctrl_c_in_it_ends_all(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def insist(*_: object) -> None:
        with stop_on_signals():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(refit, "fit", insist)
    assert run(command("--out", str(tmp_path / "toy"), str(files))) == 130
    assert "there is no bundle yet; --resume goes on with" in capsys.readouterr().err
    assert not list((tmp_path / "toy").glob("2*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_the_first_training_leaves_out_the_second(
    files: Path, first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def weigh(*arguments: Any) -> Any:
        os.kill(os.getpid(), number)
        return weigh_and_join(*arguments)

    monkeypatch.setattr(run_module, "weigh_and_join", weigh)
    manifest = train(tmp_path / "toy", str(files))
    assert manifest.files["model.onnx"] == Bundle.open(first).manifest.files["model.onnx"]
    assert any("there was no second training" in note for note in manifest.metrics["notes"])


def test_a_second_signal_says_how_to_get_the_bundle(
    files: Path, again: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)

    arguments = command("--out", str(tmp_path / "toy"), str(files))
    with monkeypatch.context() as patched:
        patched.setattr(run_module, "finish", stop)
        assert run(arguments) == 130
    assert f"there is no bundle yet; --resume goes on with {tmp_path / 'toy' / '.run'}" in capsys.readouterr().err
    assert run([*arguments, "--resume"]) == 0
    model = Bundle.open(tmp_path / "toy").manifest.files["model.onnx"]
    assert model == Bundle.open(again).manifest.files["model.onnx"]


def test_one_signal_leaves_out_the_baselines_and_not_the_bundle(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sortgate_training.report.baselines._answer", lambda *_: os.kill(os.getpid(), signal.SIGINT))
    arguments = [part for part in command("--out", str(tmp_path / "toy"), str(files)) if part != "--no-baselines"]
    assert run([*arguments, "--quiet", "--set", "refit=false"]) == 0
    notes = Bundle.open(tmp_path / "toy").manifest.metrics["notes"]
    assert "the remaining baselines were skipped by Ctrl-C" in notes


def test_without_a_place_for_its_checkpoints_it_goes_on(
    files: Path, again: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_: RunFolder) -> None:
        raise TrainingError("No space left on device")

    monkeypatch.setattr(RunFolder, "refit", full)
    assert run(command("--out", str(tmp_path / "toy"), str(files))) == 0
    assert "no checkpoint of the second training can be written (No space left" in capsys.readouterr().err
    model = Bundle.open(tmp_path / "toy").manifest.files["model.onnx"]
    assert model == Bundle.open(again).manifest.files["model.onnx"]


def process_of(arguments: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as file:
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        return subprocess.Popen(
            [sys.executable, "-m", "sortgate", *arguments], stdout=file, stderr=file, env=environment
        )


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.005)


#: So many epochs, and such small steps, that the second training has several epochs.
LONG = ("--checkpoint-every", "0", "--epochs", "12", "--set", "optimizer.learning_rate=0.003", "--set", "patience=12")
LONG += ("--set", "ngrams.enabled=false")


@pytest.fixture(scope="module")
def long(files: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Manifest]:
    """Without a second training and with one."""
    folder = tmp_path_factory.mktemp("long")
    made = {name: train(folder / name, str(files), *LONG, "--set", f"refit={name}") for name in ("false", "true")}
    assert made["true"].metrics["refit"]["epochs"] >= 2
    return made


def test_ctrl_c_in_it_exports_the_first(files: Path, long: dict[str, Manifest], tmp_path: Path) -> None:
    out, log = tmp_path / "toy", tmp_path / "log"
    process = process_of(command("--out", str(out), str(files), *LONG), log)
    try:
        wait_for((out / ".run" / "refit" / checkpoint.NAME).exists, process, log)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()
    assert "the second training was stopped; the classifier of the first one is served" in log.read_text()
    assert Bundle.open(out).manifest.files["model.onnx"] == long["false"].files["model.onnx"]
    assert not (out / ".run" / "refit").exists()


def test_killed_in_it_the_model_is_the_same(files: Path, long: dict[str, Manifest], tmp_path: Path) -> None:
    out, log = tmp_path / "toy", tmp_path / "log"
    arguments = command("--out", str(out), str(files), *LONG)
    process = process_of(arguments, log)
    try:
        # not before its first epoch is over
        wait_for(lambda: re.search(r"training on.*\n(.*\n)*epoch 1/", log.read_text()) is not None, process, log)
    finally:
        process.kill()
        process.wait()
    process = process_of([*arguments, "--resume"], log)
    assert process.wait(120) == 0, log.read_text()
    assert "going on with the second training after epoch" in log.read_text()
    one, other = long["true"], Bundle.open(out).manifest
    assert one.files["model.onnx"] == other.files["model.onnx"]
    assert one.metrics["test"] == other.metrics["test"]
    assert not (out / ".run" / "refit").exists(), "a finished run leaves no checkpoint"

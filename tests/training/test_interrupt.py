"""Ctrl-C and SIGTERM as requests: of work within other work, and of a real training."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from small import QUICK
from sortgate.inference import Classifier
from sortgate_training.interrupt import at_once, stop_on_signals

Rows = list[tuple[str, str]]


def test_what_stops_the_inner_work_stops_the_outer() -> None:
    with stop_on_signals() as outer:
        with stop_on_signals() as inner:
            os.kill(os.getpid(), signal.SIGINT)
            assert inner.requested
        assert (outer.requested, outer.reason) == (True, "Ctrl-C")
        with stop_on_signals() as later:
            assert later.requested


def stopped_twice() -> None:
    with stop_on_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)


def test_a_second_signal_does_not_wait() -> None:
    with pytest.raises(KeyboardInterrupt):
        stopped_twice()
    with stop_on_signals() as fresh:
        assert not fresh.requested


def test_what_may_be_left_out_does_not_wait_for_a_second_signal() -> None:
    with stop_on_signals() as stop:
        with at_once():
            pass
        assert not stop.requested
        with pytest.raises(KeyboardInterrupt), at_once():
            os.kill(os.getpid(), signal.SIGINT)
        assert (stop.requested, stop.reason) == (True, "Ctrl-C")


def interrupted(data: Path, out: Path, after: str, number: int = signal.SIGINT) -> tuple[int, str]:
    """Run a long training as its own process, send a signal once its output holds ``after``; status and output."""
    train = ["train", str(data), "--out", str(out), "--epochs", "100000", *QUICK]
    command = [sys.executable, "-X", "faulthandler", "-m", "sortgate", *train]
    arguments = ["--set", "patience=100000", "--set", "schedule.name=constant"]
    log = out.parent / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*command, *arguments], stdout=file, stderr=file, env={**os.environ, "PYTHONUNBUFFERED": "1"}
        )
        try:
            deadline = time.monotonic() + 60
            while after not in log.read_text():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
            process.send_signal(number)
            try:
                return process.wait(30), log.read_text()
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGABRT)  # it says where it is
                process.wait(10)
                pytest.fail(f"still at work 30 s after the signal:\n{log.read_text()}")
        finally:
            process.kill()
            process.wait()


@pytest.mark.parametrize(("number", "name"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")])
def test_a_signal_exports_the_best_epoch_so_far(
    tmp_path: Path, rows: Callable[..., Rows], write_rows: Callable[[Path, Rows], Path], number: int, name: str
) -> None:
    out = tmp_path / "toy"
    status, output = interrupted(write_rows(tmp_path / "train.csv", rows(400)), out, "epoch 3/", number)
    assert status == 0, output
    assert f"stopped by {name}; epoch " in output
    assert "Traceback" not in output
    classifier = Classifier.load(out)
    history = classifier.manifest.metrics["history"]
    assert history["stopped"] == f"stopped by {name}"
    best = min(history["epochs"], key=lambda epoch: (epoch["validation_loss"], -epoch["validation_macro_f1"]))
    assert history["best"] == best["number"]


def test_ctrl_c_before_the_first_epoch_leaves_no_bundle(
    tmp_path: Path, rows: Callable[..., Rows], write_rows: Callable[[Path, Rows], Path]
) -> None:
    data = write_rows(tmp_path / "large.csv", rows(6_000))
    status, output = interrupted(data, tmp_path / "toy", "labels\n")
    assert status == 130, output
    assert output.splitlines()[-1] == "sortgate: stopped"
    assert "Traceback" not in output
    left = [path.name for path in (tmp_path / "toy").glob("*")]
    assert left in ([], [".run"])  # the latter when the first epoch had begun
    assert ("--resume goes on with" in output) == bool(left)

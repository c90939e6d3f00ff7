"""The session: started lazily, in one process, on a model that has been checked."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from sortgate.errors import BundleFormatError, SortgateError, UnsafeModelError
from sortgate.inference.session import Session
from sortgate_training.graph import random_model

MODEL = random_model(20, 3)
IDS = np.array([[2, 3, 4, 5], [6, 7, 0, 0]], np.int32)
LENGTHS = np.array([4, 2], np.int32)


def test_logits_do_not_depend_on_padding_or_on_what_is_in_it() -> None:
    session = Session(MODEL)
    logits = session.run(IDS, LENGTHS)
    assert logits.shape == (2, 3)
    assert logits.dtype == np.float32
    alone = session.run(IDS[1:, :2], LENGTHS[1:])
    wide = session.run(np.array([[6, 7, *[9] * 30]], np.int32), LENGTHS[1:])
    np.testing.assert_allclose(logits[1:], alone, atol=1e-6)
    np.testing.assert_allclose(wide, alone, atol=1e-6)


def test_unsafe_models_never_reach_onnx_runtime() -> None:
    with pytest.raises(UnsafeModelError):
        Session(MODEL[:-1])


def test_what_onnx_runtime_refuses_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    broken = MODEL.replace(b"embedded", b"embeddeX", 1)
    with pytest.raises(UnsafeModelError):
        Session(broken)
    # well-formed, every operator allowed, but the types do not fit
    session = Session(MODEL.replace(b"\x0a\x02to\x18\x01", b"\x0a\x02to\x18\x07"))
    with pytest.raises(BundleFormatError) as caught:
        session.start()
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().out == ""


def test_a_failing_batch_is_one_line_without_ids() -> None:
    with pytest.raises(SortgateError) as caught:
        Session(MODEL).run(np.array([[999_999]], np.int32), np.array([1], np.int32))
    assert "batch [1, 1]" in str(caught.value)


def test_cannot_be_pickled() -> None:
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(Session(MODEL))


FORK = """
import os, sys
import numpy as np
from sortgate.errors import SortgateError
from sortgate.inference.session import Session
from sortgate_training.graph import random_model
session = Session(random_model(20, 3))
batch = np.array([[2, 3]], np.int32), np.array([2], np.int32)
assert "onnxruntime" not in sys.modules
if sys.argv[1] == "started":
    session.run(*batch)
pid = os.fork()
if pid == 0:
    try:
        session.run(*batch)
    except SortgateError as error:
        print(error, flush=True)
        os._exit(3)
    os._exit(0)
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
session.run(*batch)
sys.exit(status)
"""


@pytest.mark.parametrize(("state", "status"), [("started", 3), ("new", 0)])
def test_a_started_session_refuses_to_run_in_a_fork(state: str, status: int) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK, state], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == status, done.stderr
    assert ("cannot run in its child" in done.stdout) == (state == "started")


OPEN_FILES = """
import os, sys
from sortgate.inference.runtime import import_onnxruntime
from sortgate.inference.session import Session
import_onnxruntime("onnxruntime.quantization")
Session(open(sys.argv[1], "rb").read()).start()
held = [os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
print(sum(path.startswith(os.environ["HOME"]) for path in held))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_nothing_is_told_about_who_classifies(tmp_path: Path) -> None:
    """ONNX Runtime's telemetry writes to the user's cache; it is off by itself where it finds a test or a CI."""
    (tmp_path / "model.onnx").write_bytes(MODEL)
    # of a user's environment only what Python needs: ONNX Runtime looks for the variables of many test systems
    bare = {"PATH": os.environ["PATH"]}

    def files_in_home(name: str, **more: str) -> tuple[int, list[Path]]:
        home = tmp_path / name
        home.mkdir()
        command = [sys.executable, "-c", OPEN_FILES, str(tmp_path / "model.onnx")]
        done = subprocess.run(
            command, env={**bare, "HOME": str(home), **more}, capture_output=True, text=True, check=True
        )
        return int(done.stdout), [path for path in home.rglob("*") if path.is_file()]

    assert files_in_home("quiet") == (0, [])
    if tuple(map(int, version("onnxruntime").split(".")[:2])) >= (1, 29):
        held, kept = files_in_home("telling", ORT_DISABLE_TELEMETRY="0")
        assert held
        assert kept, "what the test looks at is what telemetry leaves"

"""Copies of a process: which texts kill them is found out exactly, and the process itself loses and keeps nothing.

Each test runs in a process of its own: pytest's has threads, and a copy of it would be none of a pool process.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from waiting import wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems make no copies")

#: Texts say what becomes of the process that normalizes them.
SCRIPT = """
import copy, ctypes, json, os, random, signal, sys, threading
from pathlib import Path

from sortgate.errors import InferenceError
from sortgate.settings import Settings
from sortgate.textpath import TextPath
from sortgate.worker import copies
from sortgate.worker.copies import CopyDiedError, answer_in_copy, can_copy, look_at_each, open_descriptors

FOLDER = Path(sys.argv[1])

def obey(text):
    if "segfault" in text: ctypes.string_at(0)
    if "killed" in text: os.kill(os.getpid(), signal.SIGKILL)
    if "leaves" in text: os._exit(0)
    if "raises" in text: raise RuntimeError(text)
    if "sometimes" in text and not (FOLDER / text).exists():
        (FOLDER / text).touch()
        os.abort()
    if text == copies.CONTROL and (FOLDER / "bad day").exists(): os.abort()
    if "hangs" in text:
        (FOLDER / "hanging").write_text(str(os.getpid()))
        signal.pause()
    return text

path = TextPath([("obey", obey)], ("split", str.split))
path.fit(["a b", "a b"])
"""

Run = Callable[[str], Any]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return what a script behind ``SCRIPT`` prints as JSON."""

    def run(script: str) -> Any:
        command = [sys.executable, "-W", "error", "-c", SCRIPT + script, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return json.loads(done.stdout)

    return run


def test_exactly_the_deadly_texts_are_found(run: Run) -> None:
    wrong = run("""
wrong = []
for seed in range(12):
    chance = random.Random(seed)
    kinds = ["a", "raises", "segfault", "killed", "leaves", "sometimes"]
    texts = [f"{chance.choice(kinds)} {seed}-{number}" for number in range(chance.randrange(1, 12))]
    before = [copy.copy(step.tally) for step in path.steps]
    deadly, doubtful = look_at_each(path, texts)
    expected = [number for number, text in enumerate(texts) if text.startswith(("segfault", "killed", "leaves"))]
    twice = [number for number, text in enumerate(texts) if text.startswith("sometimes")]
    if (deadly, doubtful) != (expected, twice) or before != [step.tally for step in path.steps]:
        wrong.append([texts, deadly, doubtful])
print(json.dumps(wrong))
""")
    assert wrong == []


def test_a_copy_that_dies_before_the_first_text_accuses_none(run: Run) -> None:
    said = run("""
(FOLDER / "bad day").touch()
try:
    print(json.dumps(look_at_each(path, ["a"])))
except CopyDiedError as error:
    print(json.dumps(str(error)))
""")
    assert said == "a copy of the process died before it looked at a text"


def test_a_copy_ends_with_the_process_that_made_it(tmp_path: Path) -> None:
    """As a time limit ends it."""
    process = subprocess.Popen([sys.executable, "-c", SCRIPT + 'look_at_each(path, ["hangs"])', str(tmp_path)])
    said = tmp_path / "hanging"
    wait_for(lambda: said.exists() and said.read_text(), what="the copy hangs")
    copy = psutil.Process(int(said.read_text()))
    assert copy.ppid() == process.pid
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_for(lambda: not copy.is_running() or copy.status() == psutil.STATUS_ZOMBIE, what="the copy has ended")


def test_no_copy_is_made_of_a_process_with_threads_or_open_files(run: Run) -> None:
    """A copy would lack the threads, and move the original's place in the files."""
    said = run("""
said, allowed = {}, open_descriptors()
said["nothing known"] = can_copy(None)
said["as it began"] = can_copy(allowed)
with (FOLDER / "file").open("w"):
    said["an open file"] = can_copy(allowed)
stop = threading.Event()
thread = threading.Thread(target=stop.wait)
thread.start()
said["a thread"] = can_copy(allowed)
stop.set()
thread.join()
said["as it began, again"] = can_copy(allowed)
print(json.dumps(said))
""")
    assert said == {
        "nothing known": False, "as it began": True, "an open file": False, "a thread": False,
        "as it began, again": True,
    }  # fmt: skip


CLASSIFIER = """
import numpy
from sortgate.inference.classifier import Spent

class Session:
    def enter_copy(self): pass

class Classifier:
    session, text_path, spent = Session(), path, Spent()

classifier = Classifier()
def tell(answer):
    try:
        made = answer_in_copy(classifier, answer)
    except (CopyDiedError, InferenceError) as error:
        made = [type(error).__name__, str(error)]
    tally = path.steps[0].tally
    return [str(made), classifier.spent.tokens, tally.failures, tally.streak]
"""


def test_what_a_copy_counts_is_counted(run: Run) -> None:
    """So that a component that fails on all texts is noticed in copies, too."""
    made, tokens, failures, streak = run(
        CLASSIFIER
        + """
def answer():
    classifier.spent.tokens += 7
    path.encode(["raises", "raises again"])
    return b"answers", (1, [2.5, "x"])
tell(answer)
print(json.dumps(tell(answer)))
"""
    )
    assert made == "(b'answers', (1, [2.5, 'x']))"
    assert (tokens, failures, streak) == (14, 4, 4)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("os.abort()", ["CopyDiedError", "a copy of the process died"]),
        ("os._exit(0)", ["CopyDiedError", "a copy of the process died"]),
        ('raise InferenceError("of a batch")', ["InferenceError", "of a batch"]),
        ('raise ValueError("secret")', ["InferenceError", "classifying it raised ValueError"]),
    ],
)
def test_what_keeps_a_copy_from_answering_is_told(run: Run, body: str, says: list[str]) -> None:
    assert run(f"{CLASSIFIER}\ndef answer():\n    {body}\nprint(json.dumps(tell(answer)))\n")[0] == str(says)

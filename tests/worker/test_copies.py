"""Copies of a process: which texts kill them is found out exactly, and the process itself loses and keeps nothing.

Each test runs in a process of its own: pytest's has threads, and a copy of it would be none of a pool process.
"""

from __future__ import annotations

import json
import os
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
import copy, ctypes, json, os, random, signal, sys, threading, time
from pathlib import Path

from sortgate.errors import BundleIntegrityError, InferenceError, SortgateError
from sortgate.textpath import TextPath
from sortgate.worker import copies
from sortgate.worker.copies import (
    CopyDiedError, NoCopyError, answer_in_copy, look_at_each, open_descriptors, why_no_copy,
)

FOLDER = Path(sys.argv[1])

class Panic(BaseException): pass

def obey(text):
    if "segfault" in text: ctypes.string_at(0)
    if "killed" in text: os.kill(os.getpid(), signal.SIGKILL)
    if "leaves" in text: os._exit(3)
    if "raises" in text: raise RuntimeError(text)
    if "panics" in text: raise Panic(text)
    if "sometimes" in text and not (FOLDER / text).exists():
        (FOLDER / text).touch()
        os.abort()
    if text == copies.CONTROL and (FOLDER / "bad day").exists(): os.abort()
    if "waits" in text: time.sleep(0.2)
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
        env = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # as in a pool process
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return json.loads(done.stdout)

    return run


def test_exactly_the_deadly_texts_are_found(run: Run) -> None:
    wrong = run("""
wrong = []
ends = {"segfault": "signal 11 (Segmentation fault)", "killed": "signal 9 (Killed)", "leaves": "exit status 3"}
for seed in range(12):
    chance = random.Random(seed)
    kinds = ["a", "raises", "panics", "sometimes", *ends]
    texts = [f"{chance.choice(kinds)} {seed}-{number}" for number in range(chance.randrange(1, 12))]
    before = [copy.copy(step.tally) for step in path.steps]
    found = look_at_each(path, texts)
    said = [text.partition(" ")[0] for text in texts]
    deadly = {number: ends[kind] for number, kind in enumerate(said) if kind in ends}
    deaths = 2 * len(deadly) + said.count("sometimes")
    if found != (deadly, deaths) or before != [step.tally for step in path.steps]:
        wrong.append([texts, found])
print(json.dumps(wrong))
""")
    assert wrong == []


def test_a_copy_that_dies_before_the_first_text_accuses_none(run: Run) -> None:
    said = run("""
(FOLDER / "bad day").touch()
try:
    print(json.dumps(look_at_each(path, ["a"])))
except NoCopyError as error:
    print(json.dumps(str(error)))
""")
    assert said == "a copy of the process ended by signal 6 (Aborted) before it came to a text"


def test_a_system_that_makes_no_copy_is_told_and_nothing_stays_open(run: Run) -> None:
    said, left = run("""
def fork(): raise BlockingIOError(11, "Resource temporarily unavailable")
os.fork, before = fork, open_descriptors()
try:
    look_at_each(path, ["a"])
except NoCopyError as error:
    print(json.dumps([str(error), len(open_descriptors() - before)]))
""")
    assert said == "no copy of the process can be made: Resource temporarily unavailable"
    assert left == 0


def test_looking_ends_in_time(run: Run) -> None:
    found, seconds = run("""
started = time.monotonic()
found = look_at_each(path, ["waits"] * 50 + ["killed"], started + 0.5)
print(json.dumps([found, time.monotonic() - started]))
""")
    assert found == [{}, 0]
    assert seconds < 5.0


def test_a_copy_ends_with_the_process_that_made_it(tmp_path: Path) -> None:
    """As a time limit ends it."""
    process = subprocess.Popen([sys.executable, "-c", SCRIPT + 'look_at_each(path, ["hangs"])', str(tmp_path)])
    try:
        said = tmp_path / "hanging"
        wait_for(lambda: said.exists() and said.read_text(), what="the copy hangs")
        copy = psutil.Process(int(said.read_text()))
        assert copy.ppid() == process.pid
    finally:
        process.kill()
        process.wait()

    def gone() -> bool:
        try:
            return copy.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    wait_for(gone, what="the copy has ended")


def test_no_copy_is_made_of_a_process_with_threads_or_open_files(run: Run) -> None:
    """A copy would lack the threads, and move the original's place in the files."""
    said = run("""
said, allowed = {}, open_descriptors()
said["elsewhere"] = why_no_copy(None)
said["as it began"] = why_no_copy(allowed)
with (FOLDER / "file").open("w"):
    said["an open file"] = why_no_copy(allowed)
(FOLDER / "log").touch()
with (FOLDER / "log").open() as log:
    logging = open_descriptors()
    (FOLDER / "log").rename(FOLDER / "log.1")
    said["a log that was renamed"] = why_no_copy(logging)
stop = threading.Event()
thread = threading.Thread(target=stop.wait)
thread.start()
said["a thread"] = why_no_copy(allowed)
stop.set()
print(json.dumps(said))
""")
    assert said.pop("an open file").endswith("/file")
    assert said == {
        "elsewhere": "this system makes none", "as it began": None, "a log that was renamed": None,
        "a thread": "the process has 2 threads",
    }  # fmt: skip


CLASSIFIER = """
from sortgate.inference.classifier import Spent

class Session:
    def enter_copy(self): pass

class Classifier:
    session, text_path, spent = Session(), path, Spent()

    def __call__(self, texts):
        self.spent.tokens += 1000
        self.text_path.encode(["raises"])
        if (FOLDER / "bad day").exists(): os.abort()

classifier = Classifier()
def tell(answer):
    try:
        made = answer_in_copy(classifier, answer)
    except (CopyDiedError, NoCopyError, SortgateError) as error:
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
        ("os.abort()", ["CopyDiedError", "a copy of the process ended by signal 6 (Aborted)"]),
        ("os._exit(0)", ["CopyDiedError", "a copy of the process ended by exit status 0"]),
        ('raise InferenceError("of a batch")', ["InferenceError", "of a batch"]),
        ('raise BundleIntegrityError("golden.jsonl")', ["BundleError", "golden.jsonl"]),
        ('raise ValueError("secret")', ["InferenceError", "classifying it raised ValueError"]),
        ('raise Panic("secret")', ["InferenceError", "classifying it raised Panic"]),
    ],
)
def test_what_keeps_a_copy_from_answering_is_told(run: Run, body: str, says: list[str]) -> None:
    assert run(f"{CLASSIFIER}\ndef answer():\n    {body}\nprint(json.dumps(tell(answer)))\n")[0] == str(says)


def test_a_copy_in_which_the_model_does_not_work_accuses_none(run: Run) -> None:
    said = run(f"""{CLASSIFIER}
(FOLDER / "bad day").touch()
print(json.dumps(tell(lambda: (b"", ()))))
""")
    assert said[0] == str(["NoCopyError", "a copy of the process ended by signal 6 (Aborted) before it came to a text"])

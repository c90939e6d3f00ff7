"""What a pool process answers with care is what it answers without, but for texts that would end it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from poison import POISON_PLUGIN, with_plugin

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems make no copies")

SCRIPT = """
import json, logging, os, signal, sys, threading
from pathlib import Path

import msgspec

from sortgate.settings import Settings
from sortgate.worker import child
from sortgate.worker.child import Tried, load, run_batch
from sortgate.worker.copies import CopyDiedError
from sortgate.worker.entries import Care, Entry, pack_batch

class Keep(logging.Handler):
    def emit(self, record): said.append(record.getMessage())

said = []
child.logger.addHandler(Keep())
child.logger.propagate = False
load({"toy": Path(sys.argv[1])}, Settings())

def batch(*texts, **fields):
    entries = []
    for number, text in enumerate(texts):
        flat = [b"v", b"1", b"id", str(number).encode(), b"text", text.encode()]
        for name, value in fields.items():
            flat += [name.encode(), value.encode()]
        entries.append(Entry(2, f"1700000000000-{number}", flat))
    return pack_batch("toy", 1_700_000_000_001, entries)

def tried(care, *texts, **fields):
    made = Tried(*run_batch(batch(*texts, **fields), care, 30.0))
    answers = msgspec.msgpack.decode(made.answers) if made.answers else []
    for *_, fields in answers:
        for timed in ("queued_ms", "batch_ms"):
            if timed in fields: fields[fields.index(timed) + 1] = ""
    return [fields for *_, fields in answers], made

GOOD = ["hello world", "please help me", "", "this text raises", "number 7 again"]
"""


@pytest.fixture
def run(make_bundle: Callable[..., Path], tmp_path: Path) -> Callable[..., Any]:
    """Return what a script behind ``SCRIPT`` prints as JSON; ``behind``: the component comes behind the model."""

    def run(script: str, *, behind: bool = False) -> Any:
        serving = with_plugin(make_bundle, tmp_path, POISON_PLUGIN, behind=behind)
        command = [sys.executable, "-c", SCRIPT + script, str(serving["models"] / "toy")]
        env = {**os.environ, "SORTGATE_PLUGINS_DIR": serving["SORTGATE_PLUGINS_DIR"]}
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.mark.parametrize("behind", [False, True])
def test_answers_are_the_same_with_any_care(run: Callable[..., Any], behind: bool) -> None:
    plain, *careful, said = run(
        """
found = [tried(care, *GOOD) for care in Care]
told = [[made.figures[0], [name for name, *_ in made.figures[7]], made.figures[8], made.deadly, made.deaths]
        for _, made in found]
print(json.dumps([[answers, figures] for (answers, _), figures in zip(found, told)] + [said]))
""",
        behind=behind,
    )
    assert len(plain[0]) == 5
    assert [plain, plain] == careful
    assert said == []


def test_texts_that_end_a_process_are_named_and_the_others_answered(run: Callable[..., Any]) -> None:
    found = run("""
texts = ["hello", "killme", "please help", "segfault", "segfault too"]
for care in (Care.TEXT_PATH, Care.ALL):
    alone, _ = tried(Care.NONE, texts[0], texts[2])
    answers, made = tried(care, *texts)
    for fields in alone: fields[fields.index("id") + 1] = ""
    for fields in answers: fields[fields.index("id") + 1] = ""
    assert answers == alone, (answers, alone)
    assert made.deaths == 6
nothing, made = tried(Care.ALL, "killme", "killme too")
print(json.dumps([made.deadly, nothing, made.figures, tried(Care.ALL, *texts)[1].deadly]))
""")
    ends = {"1": "signal 9 (Killed)", "3": "signal 11 (Segmentation fault)", "4": "signal 11 (Segmentation fault)"}
    assert found == [{"0": "signal 9 (Killed)", "1": "signal 9 (Killed)"}, [], None, ends]


def test_a_text_alone_is_answered_in_a_copy_at_once(run: Callable[..., Any]) -> None:
    """It may take a whole time limit, so it cannot go through the text path twice."""
    found = run("""
child.look_at_each = None
answers = [tried(care, "hello world")[0] for care in Care]
for care in (Care.TEXT_PATH, Care.ALL):
    try:
        tried(care, "killme")
    except CopyDiedError as error:
        answers.append(str(error))
print(json.dumps(answers))
""")
    assert found[0] == found[1] == found[2]
    assert found[3:] == ["a copy of the process ended by signal 9 (Killed)"] * 2


def test_texts_that_would_not_be_classified_are_not_looked_at(run: Callable[..., Any]) -> None:
    answers, deaths = run("""
answers, made = tried(Care.ALL, "killme", "hello", deadline="1600000000000")
print(json.dumps([[fields[fields.index("status") + 1] for fields in answers], made.deaths]))
""")
    assert answers == ["expired", "expired"]
    assert deaths == 0


def test_what_dies_behind_the_text_path_is_no_texts_fault_yet(run: Callable[..., Any]) -> None:
    assert run(
        """
try:
    tried(Care.ALL, "hello", "killme")
except CopyDiedError as error:
    print(json.dumps(str(error)))
""",
        behind=True,
    ) == ("a copy of the process ended by signal 9 (Killed)")


def test_a_process_that_cannot_be_copied_does_without_and_says_so_once(run: Callable[..., Any]) -> None:
    plain, careful, said = run("""
threading.Thread(target=signal.pause, daemon=True).start()
plain, _ = tried(Care.NONE, *GOOD)
careful = [tried(care, *GOOD)[0] for care in (Care.ALL, Care.TEXT_PATH)]
print(json.dumps([plain, careful, said]), flush=True)
os._exit(0)
""")
    assert careful == [plain, plain]
    assert said == [
        "no copies of the process are made: the process has 2 threads; each text that ends its process costs a process"
    ]

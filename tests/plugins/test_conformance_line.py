"""The one line for pytest: what its cases are called, what they skip, and how a plugin that is not there is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sortgate.conformance import check_plugin, plan
from sortgate.errors import ConfigurationError
from sortgate.testing import conformance

CLOCK = '''
"""Routes by the hour."""
import time
from msgspec.structs import replace
from sortgate import hookimpl

class Night:
    "Abstains at random moments, as a clock would make it."
    pure = False
    wants_text = True
    def __call__(self, prediction, text):
        return replace(prediction, label=None) if time.perf_counter_ns() // 1000 % 2 or "zebra" in text else prediction

@hookimpl
def sortgate_register_postprocessors(register):
    register("clock.night.v1", Night)
'''
SHOUT = '''
"""Shouts."""
from sortgate import hookimpl

class Shout:
    "Writes in capitals, with a mark."
    def __init__(self, mark):
        if not isinstance(mark, str): raise ValueError("mark must be a string")
        self.mark = mark
    def __call__(self, text): return text.upper() + self.mark
    def batch(self, texts): return [self(text) for text in texts]

class Emoji:
    "Spells emoji out, as far as it knows them."
    def __call__(self, text): return {"😀": "grin"}[text] if text == "😀" else text.encode("latin-1").decode("latin-1")

@hookimpl
def sortgate_register_normalizers(register):
    register("shout.loud.v1", Shout)
    register("shout.emoji.v1", Emoji)
'''


def run_pytest(folder: Path, plugin: str, line: str) -> subprocess.CompletedProcess[str]:
    (folder / "plugin.py").write_text(plugin)
    (folder / "test_it.py").write_text(
        f"from pathlib import Path\nfrom sortgate.testing import conformance\n"
        f"HERE = Path(__file__).parent\ntest_conformance = {line}\n"
    )
    command = [sys.executable, "-m", "pytest", "-v", "-ra", "-p", "no:cacheprovider", "-c", "/dev/null", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=folder)


def test_line_gives_a_case_for_each_component_and_check(tmp_path: Path) -> None:
    line = (
        "conformance(HERE / 'plugin.py', params={'shout.loud.v1': {'mark': '!'}}, "
        "excused={'shout.emoji.v1-unicode': 'knows Latin 1 only'})"
    )
    done = run_pytest(tmp_path, SHOUT, line)
    assert "test_conformance[plugin.py-import] PASSED" in done.stdout
    assert "test_conformance[shout.loud.v1-determinism] PASSED" in done.stdout
    assert "test_conformance[shout.loud.v1-state] SKIPPED" in done.stdout
    assert "XFAIL test_it.py::test_conformance[shout.emoji.v1-unicode] - knows Latin 1 only" in done.stdout
    assert "the check 'unicode' comes first" in done.stdout
    assert done.returncode == 0, done.stdout


def test_failure_is_one_paragraph_without_a_traceback(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, SHOUT, "conformance(HERE / 'plugin.py', params={'shout.loud.v1': {'mark': '!'}})")
    assert done.returncode == 1
    assert "Given: an emoji: 'great 😀 service'. Came out: UnicodeEncodeError" in done.stdout
    assert "Traceback" not in done.stdout


def test_component_that_depends_on_the_clock_skips_determinism_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "clock.py").write_text(CLOCK)
    verdicts = {case.check: case.judge() for case in plan(tmp_path / "clock.py")}
    assert verdicts["determinism"].left_out is not None
    assert "pure = False" in verdicts["determinism"].left_out
    assert [verdict.finding for verdict in verdicts.values() if verdict.finding] == []


def test_required_parameters_must_be_given(tmp_path: Path) -> None:
    (tmp_path / "plugin.py").write_text(SHOUT.replace('register("shout.emoji', '# register("shout.emoji'))
    (found,) = check_plugin(tmp_path / "plugin.py")
    assert found.check == "creation"
    assert "missing a required argument: 'mark'" in str(found)
    assert "pass params={'shout.loud.v1': {...}}" in str(found)
    assert check_plugin(tmp_path / "plugin.py", params={"shout.loud.v1": {"mark": "!"}}) == []


def test_what_is_not_there_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no plugin 'sortgate-nowhere' is installed: pip install it"):
        plan("sortgate-nowhere")
    with pytest.raises(ConfigurationError, match="is no plugin file"):
        plan(tmp_path / "nothing.py")
    (tmp_path / "_hidden.py").write_text(SHOUT)
    with pytest.raises(ConfigurationError, match="does not start with '_'"):
        plan(tmp_path / "_hidden.py")
    (tmp_path / "plugin.py").write_text(SHOUT)
    with pytest.raises(ConfigurationError, match=r"params are for shout\.quiet\.v1"):
        plan(tmp_path / "plugin.py", params={"shout.quiet.v1": {}})


def test_excuse_for_no_case_is_refused_unless_the_plugin_cannot_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "plugin.py").write_text(SHOUT)
    excused = {"shout.loud.v1-speed": "there is no such check"}
    with pytest.raises(ConfigurationError, match=r"excused names shout\.loud\.v1-speed"):
        conformance(tmp_path / "plugin.py", excused=excused)
    (tmp_path / "plugin.py").write_text("import nothing_such")
    assert callable(conformance(tmp_path / "plugin.py", excused=excused))

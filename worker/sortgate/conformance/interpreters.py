"""Runs parts of the checks in a fresh interpreter, which a hang or a crash of a component can only end."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from sortgate.conformance.findings import CheckError
from sortgate.conformance.subject import Settings, Subject
from sortgate.conformance.target import Target
from sortgate.plugins import Kind, RegisteredComponent

#: Seconds that one thing an interpreter does may take, learning the longest of them.
LIMIT_S = 60.0


class Job(msgspec.Struct, frozen=True):
    """What the interpreter does; without a component it imports the plugin under watch.

    Attributes:
        plugin: and ``plugins_dir``: the target.
        state: learned state that the component starts from.
        tasks: names of functions of :mod:`sortgate.conformance.tasks`.
        path: of Python's modules, as they are found here.
        answers: file that takes a line for each thing begun or done.
    """

    plugin: str
    plugins_dir: str | None
    kind: Kind | None
    name: str
    params: dict[str, dict[str, Any]]
    labels: list[str]
    huge_s: float
    state: bytes | None
    tasks: list[str]
    path: list[str]
    answers: str

    @property
    def target(self) -> Target:
        """The plugin."""
        return Target(self.plugin, None if self.plugins_dir is None else Path(self.plugins_dir))


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """A task was begun (``doing`` says with what), or is done with a result."""

    task: str
    doing: str | None = None
    result: Any = None


class Survey(msgspec.Struct, frozen=True):
    """What importing a plugin did, took and brought.

    Attributes:
        seen: what it did that an import must not do.
        seconds: of processor time.
        error: why it cannot be loaded.
    """

    seen: list[str]
    seconds: float
    error: str | None = None
    components: list[RegisteredComponent] = []


class Report:
    """What an interpreter has answered."""

    def __init__(self, lines: list[Line], ended: str) -> None:
        self._results = {line.task: line.result for line in lines if line.doing is None}
        self._ended = ended
        self._doing = lines[-1].doing if lines else None

    def result(self, task: str) -> Any:
        """Return what a task found; raises CheckError when the interpreter did not live to say it."""
        if task in self._results:
            return self._results[task]
        given = self._doing or f"the component in a process of its own ({task})"
        raise CheckError(
            given, f"the process {self._ended}", "find out what it does there; nothing may hang or end a process"
        )


def survey(target: Target) -> Survey:
    """Import the plugin under watch."""
    report = _run(_job(target, None, "", Settings({}), None, ["survey"]), "0")
    try:
        return msgspec.convert(report.result("survey"), Survey)
    except CheckError as error:
        return Survey([], 0.0, error.came)


def run(subject: Subject, tasks: list[str], *, seed: int) -> Report:
    """Run tasks on the component in a fresh interpreter with that seed of hashing."""
    job = _job(subject.target, subject.kind, subject.name, subject.settings, subject.state, tasks)
    return _run(job, str(seed))


def _job(
    target: Target, kind: Kind | None, name: str, settings: Settings, state: bytes | None, tasks: list[str]
) -> Job:
    folder = None if target.plugins_dir is None else str(target.plugins_dir)
    params = {component: dict(given) for component, given in settings.params.items()}
    labels, path = list(settings.labels), [entry or str(Path.cwd()) for entry in sys.path]
    return Job(target.plugin, folder, kind, name, params, labels, settings.huge_s, state, tasks, path, "")


def _run(job: Job, seed: str) -> Report:
    with tempfile.TemporaryDirectory(prefix="sortgate-conformance-") as folder:
        answers = Path(folder) / "answers.jsonl"
        job = msgspec.structs.replace(job, answers=str(answers))
        command = [sys.executable, "-B", "-W", "ignore", "-m", "sortgate.conformance.tasks"]
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(job.path)}
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env
        )
        _, said = process.communicate(msgspec.json.encode(job))  # it ends itself when nothing goes on
        data = answers.read_bytes() if answers.exists() else b""
    ended = _why(process.returncode, said.decode(errors="replace"))
    return Report([msgspec.json.decode(line, type=Line) for line in data.splitlines()], ended)


def _why(status: int, said: str) -> str:
    """Return why a process ended, from its status and what it wrote on standard error."""
    timeout = re.search(r"Timeout \((\d+):(\d+):([\d.]+)\)!", said)  # of Python's faulthandler
    if timeout is None:
        last = said.strip().splitlines()[-1:]
        return f"ended with status {status}" + (f" ({last[0]})" if last else "")
    hours, minutes, seconds = map(float, timeout.groups())
    place = re.search(r'\(most recent call first\):\n  File "([^"]+)", line (\d+)', said)
    where = "" if place is None else f", in {Path(place[1]).name} line {place[2]}"
    return f"was still busy after {hours * 3600 + minutes * 60 + seconds:g} s{where}"

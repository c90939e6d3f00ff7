"""What runs in the fresh interpreter: ``python -m sortgate.conformance.tasks``, its job on standard input."""

from __future__ import annotations

import faulthandler
import hashlib
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from sortgate.conformance import pace
from sortgate.conformance.interpreters import LIMIT_S, Job, Line, Survey
from sortgate.conformance.subject import Settings, Subject
from sortgate.conformance.watch import Watch
from sortgate.errors import SortgateError
from sortgate.plugins import create_registry

#: Seconds that a forked process has for its answers.
FORK_S = 5.0

Say = pace.Say


def survey(job: Job) -> Survey:
    """Import the plugin under watch; what Sortgate itself imports has been imported before."""
    create_registry(only=())
    watch = Watch()
    watch.active = True
    started = time.process_time()  # not the clock's: the machine may be busy with other things
    error = None
    try:
        registry = job.target.load()
    except SortgateError as failure:
        error = str(failure)
    finally:
        seconds = time.process_time() - started
        watch.active = False
    return Survey(watch.seen, seconds, error, [] if error is not None else job.target.components(registry))


def answers(subject: Subject, component: Any, say: Say) -> list[str]:
    """Answer the core."""
    say("the ordinary texts, in a process of its own")
    return subject.answers(component)


def fitted(subject: Subject, component: Any, say: Say) -> str:  # noqa: ARG001 - it learns anew
    """Learn, and return the digest of what was learned."""
    say("the training texts, in a process of its own")
    state = subject.teach(subject.make()).state()
    return hashlib.sha256(state).hexdigest()


def forked(subject: Subject, component: Any, say: Say) -> list[str] | None:
    """Answer the core in a forked process, the component having been used before; None when it does not answer."""
    say("the ordinary texts, after a fork")
    subject.answers(component)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(msgspec.json.encode(subject.answers(component)))
        finally:
            os._exit(0)
    os.close(writing)
    data, until = b"", time.monotonic() + FORK_S
    while select.select([reading], [], [], max(0.0, until - time.monotonic()))[0]:
        piece = os.read(reading, 1 << 16)
        if not piece:
            break
        data += piece
    os.close(reading)
    if time.monotonic() >= until:
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    try:
        return msgspec.json.decode(data, type=list[str])
    except msgspec.DecodeError:
        return None


def times(subject: Subject, component: Any, say: Say) -> list[pace.Pace]:
    """Measure small and large texts; ends with the first that is too slow."""
    return pace.measure(subject, component, say)


_TASKS: dict[str, Callable[[Subject, Any, Say], Any]] = {
    task.__name__: task for task in (answers, fitted, forked, times)
}


def main() -> None:
    """Do the job."""
    faulthandler.dump_traceback_later(LIMIT_S, exit=True)
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    with Path(job.answers).open("ab", buffering=0) as file:

        def write(line: Line) -> None:
            file.write(msgspec.json.encode(line) + b"\n")

        if job.kind is None:
            write(Line("survey", result=survey(job)))
            return
        subject = Subject(job.target, job.kind, job.name, Settings(job.params, job.labels, huge_s=job.huge_s))
        for task in job.tasks:
            component = subject.another(job.state)  # each task its own: what one has spoilt is not the next one's fault

            def say(what: str, limit_s: float = LIMIT_S, task: str = task) -> None:
                faulthandler.dump_traceback_later(limit_s, exit=True)
                write(Line(task, doing=what))

            write(Line(task, result=_TASKS[task](subject, component, say)))


if __name__ == "__main__":
    main()

"""Starts the demo's training and workers, and makes sure that none of them outlives it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from sortgate.errors import SortgateError

#: A worker that is told to stop finishes its batches; longer than this it does not need.
STOP_S = 15.0
#: Loading a bundle takes about a second; a slow or busy machine gets this long.
START_S = 60.0


class DemoError(SortgateError):
    """A part of the demo ended when it should not have."""


@contextlib.contextmanager
def sigterm_exits() -> Iterator[None]:
    """Let SIGTERM unwind the stack like Ctrl-C does, so that everything is stopped and removed."""

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a signal handler
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def run_train(arguments: Sequence[str], *, quiet: bool) -> None:
    """Run ``sortgate train``, its progress on this terminal (on standard error when ``quiet``).

    Raises:
        DemoError: it failed; its own message is on the screen already.
    """
    process = _start(["train", *arguments], {}, stdout=sys.stderr.fileno() if quiet else None)
    try:
        status = process.wait()
    finally:
        _stop([process])
    if status:
        raise DemoError(f"training ended with status {status}")


class Crew:
    """Workers that serve one queue, with one pool process each; a context manager.

    Attributes:
        started: ``time.perf_counter()`` before the first one was started.
        processes: the workers, in the order of their start.
    """

    def __init__(self, redis_url: str, bundle: Path, queue: str, workers: int, logs: Path) -> None:
        self._arguments = ["worker", "--models", str(bundle.parent), "--queues", f"{queue}={bundle.name}"]
        self._env = {"SORTGATE_REDIS_URL": redis_url}
        self._logs = [logs / f"worker-{i + 1}.log" for i in range(workers)]
        self.started = 0.0
        self.processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self.started = time.perf_counter()
        try:
            for log in self._logs:
                with log.open("ab") as file:
                    out = file.fileno()
                    arguments = [*self._arguments, "--concurrency", "1"]
                    self.processes.append(_start(arguments, self._env, stdout=out, stderr=out))
        except BaseException:
            _stop(self.processes)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _stop(self.processes)

    def check(self) -> None:
        """Raise :class:`DemoError` with the last words of a worker that has ended."""
        for process, log in zip(self.processes, self._logs, strict=True):
            if process.poll() is not None:
                lines = log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
                raise DemoError(f"a worker ended with status {process.returncode}: {lines[-1]}")

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Wait for a condition that the workers bring about.

        Raises:
            DemoError: a worker has ended, or the condition is not met in time.
        """
        ends = time.monotonic() + START_S
        while not ready():
            self.check()
            if time.monotonic() > ends:
                raise DemoError(f"the workers were not ready within {START_S:g} s")
            time.sleep(0.02)


def _start(
    arguments: Sequence[str], env: dict[str, str], *, stdout: int | None = None, stderr: int | None = None
) -> subprocess.Popen[bytes]:
    # A session of its own: a Ctrl-C in the terminal reaches only the demo, which then stops everything in order.
    return subprocess.Popen(
        [sys.executable, "-m", "sortgate", *arguments],
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ask every process to stop, all at once, and kill the group of each one that does not."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    try:
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_S)
    finally:  # a second Ctrl-C ends the waiting, not the stopping
        for process in processes:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

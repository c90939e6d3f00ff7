"""Forked copies of a pool process, in which texts are tried that may end it: a copy costs little, a process much.

A process takes a second to start and to load its bundles; a copy of one takes milliseconds (fork(2)), and has it all.
In a copy each text goes through the text path by itself, and the copy says which, in memory that it shares with the
original. If it dies, that text is looked at again, first thing, in another copy; the next copy goes on behind it.

A copy has no threads but its own, and shares with the original whatever file or connection is open. Where bundles or
plugins have started threads or hold anything open, no copy is made.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from sortgate.components.steps import Tally
from sortgate.errors import ComponentBrokenError, ConfigurationError, InferenceError, SortgateError

if TYPE_CHECKING:
    from sortgate.inference import Classifier
    from sortgate.textpath import TextPath

#: What answering gives: for commit.lua, and what ``BatchFigures`` is made of.
Answered = tuple[bytes, tuple[Any, ...]]

#: Each copy takes it before the texts: one that dies of it dies of something else than texts.
CONTROL = "control"
_AT_CONTROL = (1 << 64) - 1
_NUMBER_BYTES = 8
#: What answering may raise; anything else is told as an InferenceError.
_ERRORS = {kind.__name__: kind for kind in (ComponentBrokenError, ConfigurationError, InferenceError)}
_PR_SET_PDEATHSIG = 1  # prctl(2)


class CopyDiedError(SortgateError):
    """A copy died, and of no text that was looked at by itself."""


class _Reply(msgspec.Struct, array_like=True):
    """What a copy says in the end.

    Attributes:
        answered: its answers, None when it raised or had only to look.
        error: type and message of what it raised.
        spent: of its classifier, which the original takes over.
        tallies: likewise, of each step of the text path.
    """

    answered: Answered | None = None
    error: tuple[str, str] | None = None
    spent: tuple[Any, ...] = ()
    tallies: list[tuple[Any, ...]] = []


def open_descriptors() -> frozenset[tuple[str, str]]:
    """Return number and target of each file, pipe and connection that this process has open."""
    found = set()
    for path in Path("/proc/self/fd").iterdir():
        try:
            found.add((path.name, str(path.readlink())))
        except OSError:  # that of this very listing
            continue
    return frozenset(found)


def can_copy(allowed: frozenset[tuple[str, str]] | None) -> bool:
    """Return whether a copy of this process would work as it does.

    Args:
        allowed: what was open before bundles and plugins were loaded; None where nobody knows.
    """
    if sys.platform != "linux" or allowed is None:
        return False
    return len(list(Path("/proc/self/task").iterdir())) == 1 and open_descriptors() <= allowed


def look_at_each(path: TextPath, texts: Sequence[str]) -> tuple[list[int], list[int]]:
    """Take each text through the text path, in copies.

    Returns:
        The positions of texts on which a copy died twice; and of those on which one died and another did not.

    Raises:
        CopyDiedError: a copy died before the first text.
    """
    deadly: list[int] = []
    doubtful: list[int] = []
    start = 0
    while start < len(texts):
        died_at = _died_at(path, texts, range(start, len(texts)))
        if died_at is None:
            break
        (doubtful if _died_at(path, texts, range(died_at, died_at + 1)) is None else deadly).append(died_at)
        start = died_at + 1
    return deadly, doubtful


def _died_at(path: TextPath, texts: Sequence[str], positions: range) -> int | None:
    """Return the position of the text on which a copy died, None when it survived all of ``positions``."""
    with mmap.mmap(-1, _NUMBER_BYTES) as shared:

        def look() -> bytes:
            path.encode([CONTROL])
            for position in positions:
                shared[:] = position.to_bytes(_NUMBER_BYTES, "little")
                path.encode([texts[position]])
            return b""

        shared[:] = _AT_CONTROL.to_bytes(_NUMBER_BYTES, "little")
        if _in_copy(look) is not None:
            return None
        died_at = int.from_bytes(shared[:], "little")
    if died_at == _AT_CONTROL:
        raise CopyDiedError("a copy of the process died before it looked at a text")
    return died_at


def answer_in_copy(classifier: Classifier, answer: Callable[[], Answered]) -> Answered:
    """Return what ``answer`` gives in a copy, and take over what the copy's classifier has counted.

    Raises:
        CopyDiedError: the copy died.
        SortgateError: what ``answer`` raised.
    """

    def work() -> bytes:
        classifier.session.enter_copy()
        reply = _Reply()
        try:
            reply.answered = answer()
        except tuple(_ERRORS.values()) as error:
            reply.error = (type(error).__name__, str(error))
        except Exception as error:  # its message may hold a text
            reply.error = (InferenceError.__name__, f"classifying it raised {type(error).__name__}")
        reply.spent = astuple(classifier.spent)
        reply.tallies = [astuple(step.tally) for step in classifier.text_path.steps]
        return msgspec.msgpack.encode(reply)

    data = _in_copy(work)
    if data is None:
        raise CopyDiedError("a copy of the process died")
    reply = msgspec.msgpack.decode(data, type=_Reply)
    classifier.spent = type(classifier.spent)(*reply.spent)
    for step, tally in zip(classifier.text_path.steps, reply.tallies, strict=True):
        step.tally = Tally(*tally)
    if reply.answered is None:
        name, message = reply.error or ("", "")
        raise _ERRORS[name](message)
    return reply.answered


def _in_copy(work: Callable[[], bytes]) -> bytes | None:
    """Return what ``work`` returns in a copy; None when the copy ended before."""
    receiving, sending = os.pipe()
    original = os.getpid()
    pid = os.fork()
    if pid == 0:
        _be_copy(work, sending, original)
    os.close(sending)
    try:
        with os.fdopen(receiving, "rb") as pipe:
            data = pipe.read(_NUMBER_BYTES)
            if len(data) < _NUMBER_BYTES:
                return None
            size = int.from_bytes(data, "little")
            data = pipe.read(size)
            return data if len(data) == size else None
    finally:
        os.waitpid(pid, 0)


def _be_copy(work: Callable[[], bytes], sending: int, original: int) -> NoReturn:
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # a time limit kills the original
        if os.getppid() == original:
            # The process that died first has left its core file; one for every such text would fill the disk.
            resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
            data = work()
            with os.fdopen(sending, "wb") as pipe:
                pipe.write(len(data).to_bytes(_NUMBER_BYTES, "little") + data)
    finally:
        os._exit(0)

"""Forked copies of a pool process, in which texts are tried that may end it: a copy costs little, a process much.

A process takes a second to start and to load its bundles; a copy of one takes milliseconds (fork(2)), and has it all.
In a copy each text goes through the text path by itself, and the copy says which, in memory that it shares with the
original. If it dies, that text is looked at again, first thing, in another copy; the next copy goes on behind it.

A copy has no threads but its own, and shares with the original whatever file or connection is open. Where the process
has started threads, or holds anything open that was not before its bundles were loaded, no copy is made.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import msgspec

from sortgate.components.steps import Tally
from sortgate.errors import FATAL, ComponentBrokenError, InferenceError, SortgateError

if TYPE_CHECKING:
    from sortgate.inference import Classifier
    from sortgate.textpath import TextPath

#: What answering gives: for commit.lua, and what ``BatchFigures`` is made of.
Answered = tuple[bytes, tuple[Any, ...]]
#: Number, device and inode of each file, pipe and connection that a process has open.
Descriptors = frozenset[tuple[int, int, int]]

#: Each copy takes it before the texts: one that dies of it dies of something else than texts.
CONTROL = "control"
_AT_CONTROL, _AT_TEXTS = (1 << 64) - 1, (1 << 64) - 2
_NUMBER_BYTES = 8
#: Errors of which the worker tells by their kind what is to be done; anything else is told as an InferenceError.
_KINDS: tuple[type[SortgateError], ...] = (*FATAL, ComponentBrokenError, InferenceError)
_OPEN = Path("/proc/self/fd")
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4  # prctl(2)


class CopyDiedError(Exception):
    """A copy died as it answered texts, and nobody knows of which."""


class NoCopyError(Exception):
    """A copy cannot be made, or died before it came to the texts: the process has to do without."""


class Looked(NamedTuple):
    """What looking at texts one by one has found.

    Attributes:
        deadly: positions of texts on which two copies died, the second of which had looked at nothing else; and how.
        deaths: copies that died.
    """

    deadly: Mapping[int, str]
    deaths: int


class _Reply(msgspec.Struct, array_like=True):
    """What a copy says in the end.

    Attributes:
        answered: its answers, None when it raised.
        error: number of its kind in :data:`_KINDS`, and message, of what it raised.
        spent: of its classifier, which the original takes over.
        tallies: likewise, of each step of the text path.
    """

    answered: Answered | None = None
    error: tuple[int, str] = (0, "")
    spent: tuple[Any, ...] = ()
    tallies: list[tuple[Any, ...]] = []


def open_descriptors() -> Descriptors | None:
    """Return what this process has open; None on systems that do not say so."""
    try:
        numbers = [int(path.name) for path in _OPEN.iterdir()]
    except OSError:
        return None
    found = set()
    for number in numbers:
        try:
            status = os.fstat(number)
        except OSError:  # that of this very listing
            continue
        found.add((number, status.st_dev, status.st_ino))
    return frozenset(found)


def why_no_copy(allowed: Descriptors | None) -> str | None:
    """Return why a copy of this process would not be as good as the process, None when it would.

    Args:
        allowed: what was open before bundles and plugins were loaded; None on systems that make no copies.
    """
    opened = open_descriptors()
    if allowed is None or opened is None:
        return "this system makes none"
    threads = len(list(Path("/proc/self/task").iterdir()))
    if threads > 1:
        return f"the process has {threads} threads"
    more = sorted(number for number, *_ in opened - allowed)
    if more:
        return f"the process has opened {(_OPEN / str(more[0])).readlink()}"
    return None


def look_at_each(path: TextPath, texts: Sequence[str], until: float = float("inf")) -> Looked:
    """Take each text through the text path, in copies.

    Args:
        until: monotonic seconds at which looking ends, wherever it is; what is left passes.

    Raises:
        NoCopyError: no copy could be made, or one died before the first text.
    """
    deadly: dict[int, str] = {}
    start = deaths = 0
    while start < len(texts) and time.monotonic() < until:
        died = _died(path, texts, range(start, len(texts)), until)
        if died is None:
            break
        start = died[0] + 1
        again = _died(path, texts, range(died[0], start), float("inf"))
        deaths += 1 if again is None else 2
        if again is not None:
            deadly.update([again])
    return Looked(deadly, deaths)


def _died(path: TextPath, texts: Sequence[str], positions: range, until: float) -> tuple[int, str] | None:
    """Return the position of the text on which a copy died, and how; None when it survived all of ``positions``."""

    def look(mark: Callable[[int], None]) -> bytes:
        _try_text(path, CONTROL)
        for position in positions:
            mark(position)
            _try_text(path, texts[position])
            if time.monotonic() >= until:
                break
        return b""

    _, died_at, how = _in_copy(look)
    return None if how is None else (died_at, how)


def _try_text(path: TextPath, text: str) -> None:
    with contextlib.suppress(BaseException):  # whatever it is, it is not the end: answering the text says what it is
        path.encode([text])


def answer_in_copy(classifier: Classifier, answer: Callable[[], Answered]) -> Answered:
    """Return what ``answer`` gives in a copy, and take over what the copy's classifier has counted.

    Raises:
        NoCopyError: no copy could be made, or one died before the texts.
        CopyDiedError: the copy died of the texts.
        SortgateError: what ``answer`` raised.
    """

    def work(mark: Callable[[int], None]) -> bytes:
        reply = _Reply()
        try:
            classifier.session.enter_copy()
            before = _counts(classifier)
            classifier([CONTROL])
            _set_counts(classifier, *before)  # the control does not count
            mark(_AT_TEXTS)
            reply.answered = answer()
        except _KINDS as error:
            kind = next(number for number, kind in enumerate(_KINDS) if isinstance(error, kind))
            reply.error = (kind, str(error))
        except BaseException as error:  # its message may hold a text
            reply.error = (_KINDS.index(InferenceError), f"classifying it raised {type(error).__name__}")
        reply.spent, reply.tallies = _counts(classifier)
        return msgspec.msgpack.encode(reply)

    data, _, how = _in_copy(work)
    if how is not None:
        raise CopyDiedError(f"a copy of the process ended by {how}")
    reply = msgspec.msgpack.decode(data, type=_Reply)
    _set_counts(classifier, reply.spent, reply.tallies)
    if reply.answered is None:
        kind, message = reply.error
        raise _KINDS[kind](message)
    return reply.answered


def _counts(classifier: Classifier) -> tuple[tuple[Any, ...], list[tuple[Any, ...]]]:
    return astuple(classifier.spent), [astuple(step.tally) for step in classifier.text_path.steps]


def _set_counts(classifier: Classifier, spent: tuple[Any, ...], tallies: list[tuple[Any, ...]]) -> None:
    classifier.spent = type(classifier.spent)(*spent)
    for step, tally in zip(classifier.text_path.steps, tallies, strict=True):
        step.tally = Tally(*tally)


def _in_copy(work: Callable[[Callable[[int], None]], bytes]) -> tuple[bytes, int, str | None]:
    """Return what ``work`` returns in a copy, what it marked last, and how the copy ended if it did before.

    Raises:
        NoCopyError: no copy could be made, or it ended before ``work`` marked anything.
    """
    try:
        with mmap.mmap(-1, _NUMBER_BYTES) as shared:

            def mark(number: int) -> None:
                shared[:] = number.to_bytes(_NUMBER_BYTES, "little")

            mark(_AT_CONTROL)
            data, status = _fork(lambda: work(mark))
            marked = int.from_bytes(shared[:], "little")
    except OSError as error:
        raise NoCopyError(f"no copy of the process can be made: {error.strerror}") from None
    if data is not None:
        return data, marked, None
    code = os.waitstatus_to_exitcode(status)
    how = f"signal {-code} ({signal.strsignal(-code)})" if code < 0 else f"exit status {code}"
    if marked == _AT_CONTROL:
        raise NoCopyError(f"a copy of the process ended by {how} before it came to a text")
    return b"", marked, how


def _fork(work: Callable[[], bytes]) -> tuple[bytes | None, int]:
    """Return what ``work`` returns in a copy, None when the copy ended before; and the copy's wait status."""
    receiving, sending = os.pipe()
    original = os.getpid()
    for stream in (sys.stdout, sys.stderr):  # else the copy may write what waits there a second time
        stream.flush()
    try:
        pid = os.fork()
    except OSError:
        os.close(receiving)
        os.close(sending)
        raise
    if pid == 0:
        os.close(receiving)
        _be_copy(work, sending, original)
    os.close(sending)
    with os.fdopen(receiving, "rb") as pipe:
        head = pipe.read(_NUMBER_BYTES)
        size = int.from_bytes(head, "little")
        data = pipe.read(size)
    _, status = os.waitpid(pid, 0)
    return (data if len(head) == _NUMBER_BYTES and len(data) == size else None), status


def _be_copy(work: Callable[[], bytes], sending: int, original: int) -> NoReturn:
    try:
        prctl = ctypes.CDLL(None).prctl
        # A time limit kills the original. And the process that died first has left its core file: one for each text
        # would fill the disk.
        ready = prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) == 0 and prctl(_PR_SET_DUMPABLE, 0) == 0
        if ready and os.getppid() == original:
            data = work()
            with os.fdopen(sending, "wb") as pipe:
                pipe.write(len(data).to_bytes(_NUMBER_BYTES, "little") + data)
    finally:
        os._exit(0)

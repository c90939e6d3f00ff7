"""A producer's journal: what it tried to enqueue and what it heard back, on disk before and after each call.

An append-only file of JSON lines, one for each call to Redis and one for its outcome::

    {"op":"invoke","queue":"tickets","ids":["a","b"],"at":"2026-11-26T17:33:02.120Z"}
    {"op":"ok","queue":"tickets","ids":["a","b"],"at":"2026-11-26T17:33:02.124Z"}

``ok``: enqueued. ``refused``: not enqueued (the queue is full). ``unknown``: the link broke before the reply came. An
``invoke`` without an outcome, as a killed producer leaves it, counts as ``unknown``. Ids are kept, texts never.
A producer in another language writes the same lines; ``sortgate audit`` reads them.
"""

from __future__ import annotations

import datetime
import os
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import msgspec

from sortgate.errors import DataError

Op = Literal["invoke", "ok", "refused", "unknown"]


class JournalLine(msgspec.Struct, frozen=True):
    """One line; ``queue`` and ``at`` (for people, by the producer's clock) may be left out."""

    op: Op
    ids: list[str]
    queue: str = ""
    at: str = ""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(JournalLine)
#: Of a line that a crash cut off, or that goes on beyond what is looked at.
_BEGINNINGS = tuple(f'{{"{field}"'.encode() for field in JournalLine.__struct_fields__)
#: The first line of a journal is looked for among so many: more than the ids of a call take, most often.
_FIRST_BYTES = 1 << 20


class Journal:
    """Appends to a journal file; safe to share between threads, and the file between processes.

    Each line is on disk (``fsync``) when :meth:`write` returns, so what a killed producer was about to send is known.

    Args:
        path: the file; made when it is absent.

    Raises:
        DataError: it cannot be opened, or is a file of something else.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            size = os.fstat(self._file).st_size
            if size:
                self._check(os.pread(self._file, _FIRST_BYTES, 0))
            if size and os.pread(self._file, 1, size - 1) != b"\n":
                os.write(self._file, b"\n")  # a line that a crash cut off stays alone
        except (OSError, ValueError) as error:
            raise _unusable(self.path, error) from None
        except DataError:
            os.close(self._file)
            raise

    def _check(self, start: bytes) -> None:
        """Refuse a file of something else before anything is written to it."""
        first, end, _ = start.partition(b"\n")
        cut_off = not end and len(start) == _FIRST_BYTES
        try:
            msgspec.json.decode(first)
            whole = not cut_off
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            whole = False
        try:
            known = _parse(first, "") is not None if whole else first.startswith(_BEGINNINGS)
        except DataError:
            known = False
        if not known and first.strip():
            raise DataError(
                f"journal {self.path}: a file of something else is there, which is left as it is; name another"
            )

    def write(self, op: Op, ids: Sequence[str], queue: str) -> None:
        """Append one line and wait until it is on disk.

        Raises:
            DataError: it cannot be written.
        """
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = memoryview(_encoder.encode(JournalLine(op, list(ids), queue, now)) + b"\n")
        try:
            with self._lock:
                while line:
                    line = line[os.write(self._file, line) :]
            os.fsync(self._file)
        except OSError as error:
            raise _unusable(self.path, error) from None

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        with self._lock:
            file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Attempts(msgspec.Struct, frozen=True):
    """What journals say of one queue.

    Attributes:
        attempted: every id invoked, but for those refused each time.
        acknowledged: ids enqueued for certain.
        refused: ids that were refused each time: they must not come out.
        torn: lines that a crash cut off; what they were about was not sent, or is of unknown outcome.
        other_queues: that lines name besides.
    """

    attempted: set[str]
    acknowledged: set[str]
    refused: set[str]
    torn: int = 0
    other_queues: frozenset[str] = frozenset()


def read_journals(paths: Iterable[str | os.PathLike[str]], queue: str) -> Attempts:
    """Read the lines of ``queue``, and those that name no queue.

    Raises:
        DataError: a file cannot be read, or a line is none of a journal.
    """
    calls: dict[str, int] = {}  # by id: times invoked and not refused
    known: set[str] = set()
    others: set[str] = set()
    torn = 0
    for path in paths:
        try:
            with Path(path).open("rb") as file:
                for number, raw in enumerate(file, 1):
                    line = _parse(raw, f"{path}, line {number}")
                    if line is None:
                        torn += bool(raw.strip())
                    elif line.queue in ("", queue):
                        if line.op == "ok":
                            known.update(line.ids)
                        for ident in line.ids:
                            open_calls = calls.get(ident, 0) + {"invoke": 1, "refused": -1}.get(line.op, 0)
                            calls[ident] = max(open_calls, int(line.op == "unknown"))
                    else:
                        others.add(line.queue)
        except (OSError, ValueError) as error:
            raise _unusable(Path(path), error) from None
    refused = {ident for ident, count in calls.items() if count <= 0} - known
    return Attempts(calls.keys() - refused, known, refused, torn, frozenset(others))


def _parse(raw: bytes, where: str) -> JournalLine | None:
    """Return the line, None for one that is empty or was cut off by a crash."""
    try:
        return _decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        if not raw.strip() or (raw.startswith(b"{") and not raw.rstrip().endswith(b"}")):
            return None
        reason = " ".join(str(error).split())
        raise DataError(f'{where}: no line of a journal ({reason}); expected {{"op":"invoke","ids":[…]}}') from None


def _unusable(path: Path, error: OSError | ValueError) -> DataError:
    return DataError(f"journal {path}: {getattr(error, 'strerror', None) or error}")

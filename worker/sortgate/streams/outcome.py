"""What became of texts: those still in flight, and the answers that lie in Redis or in a collector's files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import redis

from sortgate import keys
from sortgate.audit import QueueAudit, Suspects, examine
from sortgate.errors import DataError
from sortgate.journal import read_journals
from sortgate.types import PRIORITIES

_PAGE = 1000


class Outcome(msgspec.Struct, frozen=True):
    """A queue compared with its producers' journals.

    Attributes:
        counts: the counters of the total-queue check.
        suspects: the ids that are wrong.
        others: answers to ids that no journal holds, when other producers use the queue too.
        refused: ids that were refused and so must not come out.
        uncollected: answers that still lie in Redis.
        dead_letters: answers that only a dead letter shows; who collected them did not keep a file that was given.
        answered_ever: answers that the queue's own counters have seen since it began.
    """

    counts: QueueAudit
    suspects: Suspects
    others: int
    refused: int
    uncollected: int
    dead_letters: int
    answered_ever: int


class _Collected(msgspec.Struct):
    """What matters of a line that ``sortgate results`` wrote."""

    id: str
    requeue_of: str | None = None


_decoder = msgspec.json.Decoder(_Collected)


def audit_queue(
    client: redis.Redis, queue: str, journals: Sequence[Path], collected: Sequence[Path] = (), *, shared: bool = False
) -> Outcome:
    """Compare a queue with what its producers put in; changes nothing, and may run while the queue works.

    Args:
        client: of the queue's Redis; must decode responses.
        journals: see :mod:`sortgate.journal`.
        collected: files written by ``sortgate results``, for answers that have left Redis.
        shared: other producers use the queue too, so ids that no journal holds are theirs.

    Raises:
        DataError: a file cannot be read, or the journals are of other queues alone.
    """
    # In the order in which a text moves, so that one that moves meanwhile is seen twice rather than never.
    attempts = read_journals(journals, queue)
    if attempts.other_queues and not attempts.attempted | attempts.refused:
        names = ", ".join(sorted(attempts.other_queues))
        raise DataError(f"the journals hold nothing of queue {queue}; they are of: {names}")
    waiting = set(_ids(client, [keys.requests(queue, priority) for priority in PRIORITIES]))
    unread, held = _results(client, queue)
    buried = {ident for ident, _ in _entries(client, keys.dead(queue))}
    given = [answer for path in collected for answer in _read_results(path)]
    out = [ident for ident, again in (*given, *unread) if not again]
    seen = set(out)
    # What a collector has in hand may be in its file already.
    out += [ident for ident, again in held if not again and ident not in seen]
    # An operator's requeue asks for a second answer, which is no duplicate; nor is a dead letter, a copy of an answer.
    out += {ident for ident, again in (*given, *unread, *held) if again} - set(out)
    only_dead = (buried & attempts.attempted) - set(out)
    out += only_dead
    others = 0
    if shared:
        known = attempts.attempted | attempts.refused
        others = sum(ident not in known for ident in out)
        out = [ident for ident in out if ident in known]
    counts, suspects = examine(attempts.attempted, attempts.acknowledged, out, waiting)
    totals: Any = client.hgetall(keys.counters(queue))
    return Outcome(
        counts=counts,
        suspects=suspects,
        others=others,
        refused=len(attempts.refused),
        uncollected=len(unread) + len(held),
        dead_letters=len(only_dead),
        answered_ever=sum(int(totals.get(name, 0)) for name in ("ok", "error", "dead", "rejected", "expired")),
    )


#: An id, and whether it was answered because an operator enqueued a dead letter again.
_Answer = tuple[str, bool]


def _results(client: Any, queue: str) -> tuple[list[_Answer], list[_Answer]]:
    """Return the results that no collector has read yet, and those that one has in hand."""
    last = "0-0"
    try:
        groups = {group["name"]: group for group in client.xinfo_groups(keys.results(queue))}
        last = groups[keys.COLLECTORS]["last-delivered-id"]
    except (redis.ResponseError, KeyError):
        pass  # no result, or no collector, yet
    return list(_entries(client, keys.results(queue), after=last)), list(
        _entries(client, keys.results(queue), last=last)
    )


def _ids(client: Any, streams: Iterable[str]) -> Iterator[str]:
    for stream in streams:
        for ident, _ in _entries(client, stream):
            yield ident


def _entries(client: Any, stream: str, *, after: str = "", last: str = "+") -> Iterator[_Answer]:
    """Yield for each entry its id field, or its own id when it has none."""
    start = f"({after}" if after else "-"
    while page := client.xrange(stream, min=start, max=last, count=_PAGE):
        for entry, fields in page:
            yield fields.get("id") or fields.get("dead_entry") or entry, "requeue_of" in fields
        start = f"({page[-1][0]}"


def _read_results(path: Path) -> Iterator[_Answer]:
    """Yield the answers of a collector's file; the last line may be half written."""
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                try:
                    result = _decoder.decode(raw)
                except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                    if not raw.endswith(b"\n"):
                        return
                    reason = " ".join(str(error).split())
                    raise DataError(f"{path}, line {number}: no result of `sortgate results` ({reason})") from None
                yield result.id, result.requeue_of is not None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None

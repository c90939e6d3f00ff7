"""The total-queue check: what goes in must come out, once.

The counters are those of Jepsen's ``total-queue`` checker (jepsen.checker/total-queue): a queue is valid when nothing
is lost and nothing unexpected; Sortgate also promises that nothing comes out twice. What is still in flight is not
lost, so a queue may be checked while it works.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec


class QueueAudit(msgspec.Struct, frozen=True):
    """Counts of one run.

    Attributes:
        attempted: ids that the producer tried to enqueue.
        acknowledged: ids of which it knows that they were enqueued.
        ok: attempted ids that came out, whatever their status, each counted once.
        lost: acknowledged ids that neither came out nor are in flight.
        unexpected: ids that came out and were never attempted.
        duplicated: surplus answers, over one an id.
        recovered: ids of unknown outcome that did come out.
        in_flight: attempted ids that are still enqueued or with a worker.
    """

    attempted: int
    acknowledged: int
    ok: int
    lost: int
    unexpected: int
    duplicated: int
    recovered: int
    in_flight: int = 0

    @property
    def valid(self) -> bool:
        """Whether nothing was lost, invented or answered twice."""
        return not (self.lost or self.unexpected or self.duplicated)

    def __str__(self) -> str:
        return ", ".join(f"{name.replace('_', ' ')} {getattr(self, name):,}" for name in self.__struct_fields__)


class Suspects(msgspec.Struct, frozen=True):
    """The ids behind the three counters that make a run invalid, sorted."""

    lost: list[str]
    unexpected: list[str]
    duplicated: list[str]


def audit(
    attempted: Iterable[str], acknowledged: Iterable[str], answered: Iterable[str], in_flight: Iterable[str] = ()
) -> QueueAudit:
    """Compare what a producer put in with what came out and what is still on its way."""
    return examine(attempted, acknowledged, answered, in_flight)[0]


def examine(
    attempted: Iterable[str], acknowledged: Iterable[str], answered: Iterable[str], in_flight: Iterable[str] = ()
) -> tuple[QueueAudit, Suspects]:
    """Compare as :func:`audit` does, and name the ids that are wrong."""
    tried, known, out = set(attempted), set(acknowledged), Counter(answered)
    tried |= known
    waiting = (tried - out.keys()) & set(in_flight)
    suspects = Suspects(
        lost=sorted(known - out.keys() - waiting),
        unexpected=sorted(out.keys() - tried),
        duplicated=sorted(ident for ident, times in out.items() if times > 1),
    )
    counts = QueueAudit(
        attempted=len(tried),
        acknowledged=len(known),
        ok=len(out.keys() & tried),
        lost=len(suspects.lost),
        unexpected=len(suspects.unexpected),
        duplicated=out.total() - len(out),
        recovered=len((tried - known) & out.keys()),
        in_flight=len(waiting),
    )
    return counts, suspects

"""The total-queue check: what goes in must come out, once.

The counters are those of Jepsen's ``total-queue`` checker (jepsen.checker/total-queue): a queue is valid when nothing
is lost and nothing unexpected; Sortgate also promises that nothing comes out twice.
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
        answered: ids that came out, each counted once.
        lost: acknowledged ids that never came out.
        unexpected: ids that came out and were never attempted.
        duplicated: surplus answers, over one an id.
        recovered: ids of unknown outcome that did come out.
    """

    attempted: int
    acknowledged: int
    answered: int
    lost: int
    unexpected: int
    duplicated: int
    recovered: int

    @property
    def valid(self) -> bool:
        """Whether nothing was lost, invented or answered twice."""
        return not (self.lost or self.unexpected or self.duplicated)


def audit(attempted: Iterable[str], acknowledged: Iterable[str], answered: Iterable[str]) -> QueueAudit:
    """Compare what a producer put in with what came out."""
    tried, known, out = set(attempted), set(acknowledged), Counter(answered)
    tried |= known
    return QueueAudit(
        attempted=len(tried),
        acknowledged=len(known),
        answered=len(out),
        lost=len(known - out.keys()),
        unexpected=len(out.keys() - tried),
        duplicated=out.total() - len(out),
        recovered=len((tried - known) & out.keys()),
    )

"""How many texts a batch may have: more while texts are cheap, since a large batch costs less a text."""

from __future__ import annotations

#: So many whatever they cost.
SMALL = 256
#: More only while a batch takes no longer, in seconds: a text that is urgent waits for one.
LONGEST_S = 0.25
#: What a text costs is a mean over about so many of the latest, each with so much at most: more makes a batch no
#: smaller, and one that hung, or a worker that was stopped meanwhile, would be remembered for too long.
LATEST, DEAREST_S = 2_000, 2.0 * LONGEST_S / SMALL


class BatchSize:
    """The size of one queue's batches, from what its texts have cost of late.

    Args:
        limit: most texts, however cheap they are.

    Attributes:
        most: texts that a batch may have now: ``SMALL``, or up to ``limit`` that take ``LONGEST_S``.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._text_s = 0.0
        self.most = min(SMALL, limit)

    def took(self, texts: int, seconds: float) -> None:
        """Take note of a batch; the more texts it had, the more it tells."""
        weight = texts / (texts + LATEST) if self._text_s else 1.0
        self._text_s += weight * (min(seconds / texts, DEAREST_S) - self._text_s)
        cheap = LONGEST_S / self._text_s if self._text_s else 0.0
        self.most = int(min(self._limit, max(SMALL, cheap)))

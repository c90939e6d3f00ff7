"""How many texts a batch may have: many while texts are cheap, since a large batch costs less a text."""

from __future__ import annotations

#: So many whatever they cost, and beyond them what takes so many seconds: a text that is urgent waits for a batch.
SMALL, LONGEST_S = 256, 0.25
#: Texts of late that what a text costs is a mean of, about.
LATE = 2_000


class BatchSize:
    """The size of one queue's batches, from what its texts have cost of late.

    Args:
        limit: most texts, whatever they cost.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._text_s = 0.0

    def took(self, texts: int, seconds: float) -> None:
        """Take note of a batch; the more texts it had, the more it tells."""
        weight = texts / (texts + LATE) if self._text_s else 1.0
        if texts:
            self._text_s += weight * (seconds / texts - self._text_s)

    @property
    def most(self) -> int:
        """Texts that a batch may have now, at least 1."""
        cheap = LONGEST_S / self._text_s if self._text_s else 0.0
        return int(min(self._limit, max(SMALL, cheap)))

"""How many texts a read asks of each stream: urgent ones first, none starved, no share left unused."""

from __future__ import annotations

from collections.abc import Sequence

#: High, normal, low.
WEIGHTS = (8, 3, 1)


def shares(room: int, busy: Sequence[bool]) -> list[int]:
    """Return the count for each stream, at least 1.

    Streams that had texts at the last read share the room by weight, all of them when none had. One that had none is
    asked for what it would get as one more of them, so that an urgent text is never a round late; only when it fills
    up at that very moment may a read bring more than ``room``, at most 2.7 times as many.

    Args:
        room: texts that may still be taken in, at least 1.
        busy: whether each stream had texts at the last read.
    """
    busy = busy if any(busy) else [True] * len(WEIGHTS)
    together = sum(weight for weight, had in zip(WEIGHTS, busy, strict=True) if had)
    counts = []
    for weight, had in zip(WEIGHTS, busy, strict=True):
        sharing = together if had else together + weight
        counts.append(max(1, room * weight // sharing))
    return counts


class Turns:
    """Shares of reads that are too small to be divided by weight, as a rate limit makes them: streams take turns."""

    #: Of twelve texts, spread.
    ORDER = (0, 1, 0, 0, 2, 0, 0, 1, 0, 0, 1, 0)

    def __init__(self) -> None:
        self._next = 0

    def take(self, room: int, busy: Sequence[bool]) -> list[int]:
        """Return the count for each stream, 0 for a stream that had texts at the last read and whose turn it is not.

        One that had none is asked for one, so that an urgent text is never a round late.
        """
        order = [number for number in self.ORDER if busy[number]]
        if room >= len(self.ORDER) or not order:
            return shares(room, busy)
        counts = [0 if had else 1 for had in busy]
        for _ in range(room):
            counts[order[self._next % len(order)]] += 1
            self._next += 1
        return counts

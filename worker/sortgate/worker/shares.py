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

"""The bounded window of a client's ``stream``: what is under way, and in which order results may be yielded."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice

from sortgate.types import Result

#: Texts sent in one go.
BATCH = 500


class Window:
    """Bookkeeping without I/O, shared by both clients.

    Args:
        size: most texts under way or held back for order.
        ordered: results come out in the order in which their texts went in.
    """

    def __init__(self, size: int, *, ordered: bool) -> None:
        self._size = max(1, size)
        self._ordered = ordered
        self._owed: set[str] = set()
        self._order: deque[str] = deque()
        self._held: dict[str, Result] = {}
        self._exhausted = False

    @property
    def owed(self) -> int:
        """Texts sent and not answered yet."""
        return len(self._owed)

    @property
    def finished(self) -> bool:
        """Whether every text has been sent, answered and yielded."""
        return self._exhausted and not self._owed and not self._held

    def take(self, source: Iterator[str]) -> list[str]:
        """Return the next texts to send: none while the window is more than half full, so that sends stay large."""
        room = self._size - len(self._owed) - len(self._held)
        if self._exhausted or room <= 0 or (room * 2 < self._size and self._size > 1):
            return []
        wanted = min(room, BATCH)
        texts = list(islice(source, wanted))
        self._exhausted = len(texts) < wanted
        return texts

    def sent(self, ids: list[str]) -> None:
        """Note the ids under which texts were sent."""
        self._owed.update(ids)
        if self._ordered:
            self._order.extend(ids)

    def received(self, result: Result) -> bool:
        """Take in a result; False when it is not one of ours."""
        if result.id not in self._owed:
            return False
        self._owed.discard(result.id)
        self._held[result.id] = result
        return True

    def ready(self) -> list[Result]:
        """Return the results that may be yielded now."""
        if not self._ordered:
            held, self._held = list(self._held.values()), {}
            return held
        out = []
        while self._order and self._order[0] in self._held:
            out.append(self._held.pop(self._order.popleft()))
        return out

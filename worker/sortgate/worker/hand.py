"""The entries that a worker has in hand for one queue: which wait for a pool process, and how they are batched."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from sortgate.worker.entries import Batch, Care, Entry, EntryKey, batch_bound

#: Batches that are tried in copies after a process was lost: trying about so many costs what starting a process does,
#: so that whatever comes, at most twice as much is spent as if one had known.
CAREFUL_BATCHES = 100


class Hand:
    """Every entry read and not yet confirmed as answered; some of them wait, others are with a process or in a commit.

    Args:
        queue: name of the queue, for its batches.
        capacity: most entries in hand; what Redis sends beyond it is kept all the same, never dropped.
        batch_texts: most entries of a batch.
        max_deliveries: failures after which an entry is given up.
    """

    def __init__(self, queue: str, capacity: int, batch_texts: int, max_deliveries: int) -> None:
        self.queue = queue
        self.capacity = capacity
        self._batch_texts = batch_texts
        self._max_deliveries = max_deliveries
        self._entries: dict[EntryKey, Entry] = {}
        self._waiting: deque[Entry] = deque()
        self._care_left = dict.fromkeys((Care.ALL, Care.TEXT_PATH), 0)  # the greatest care first

    def __len__(self) -> int:
        """Count of entries in hand."""
        return len(self._entries)

    def __contains__(self, entry: Entry) -> bool:
        return entry.key in self._entries

    @property
    def waiting(self) -> int:
        """Entries that no pool process has yet."""
        return len(self._waiting)

    @property
    def room(self) -> int:
        """Entries that may still be read."""
        return self.capacity - len(self._entries)

    def entries(self) -> list[Entry]:
        """Return all of them, in the order in which they came."""
        return list(self._entries.values())

    def known(self, entry: Entry) -> Entry | None:
        """Return the entry in hand with the same key."""
        return self._entries.get(entry.key)

    def add(self, entry: Entry) -> None:
        """Take an entry in; one that is in hand already stays as it is."""
        if entry.key not in self._entries:
            self._entries[entry.key] = entry
            self._waiting.append(entry)

    def hold(self, entry: Entry) -> None:
        """Take in an entry that waits for no process, since it is answered at once."""
        self._entries[entry.key] = entry

    def drop(self, entries: Iterable[Entry]) -> None:
        """Let go of entries that are answered or handed back."""
        for entry in entries:
            self._entries.pop(entry.key, None)

    def take(self, share: int) -> Batch | None:
        """Return the next batch, oldest entries first, or None when nothing waits.

        Args:
            share: most entries; entries that failed before get smaller batches, by themselves in the end.
        """
        entries: list[Entry] = []
        bound = share
        failures = self._waiting[0].failures if self._waiting else 0
        while self._waiting and len(entries) < bound and self._waiting[0].failures == failures:
            entry = self._waiting.popleft()
            bound = min(bound, batch_bound(entry.failures, self._batch_texts))
            entries.append(entry)
        if not entries:
            return None
        care = Care.ALL if failures else next((care for care, left in self._care_left.items() if left), Care.NONE)
        for each, left in self._care_left.items():
            self._care_left[each] = max(0, left - 1)
        return Batch(self.queue, entries, care)

    def put_back(self, batch: Batch) -> None:
        """Return a batch that no process started on, to where it was; it counts as no failure."""
        self._waiting.extendleft(reversed(batch.entries))

    def failed(self, batch: Batch) -> list[Entry]:
        """Let a batch whose process was lost be tried again in smaller ones; returns entries that are given up."""
        exhausted = []
        for entry in batch.entries:
            entry.failures += 1
            if entry.failures >= self._max_deliveries:
                exhausted.append(entry)
            else:
                self._waiting.append(entry)
        return exhausted

    def be_careful(self, care: Care) -> None:
        """Take as much care, or more, with the next batches."""
        for each in self._care_left:
            if each <= care:
                self._care_left[each] = CAREFUL_BATCHES

    def take_waiting(self) -> list[Entry]:
        """Return what waits, which from then on waits no more: it is to be handed back."""
        waiting, self._waiting = list(self._waiting), deque()
        return waiting

"""The entries that a worker has in hand for one queue: which wait for a pool process, and how they are batched."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from sortgate.worker.entries import Batch, Care, Entry, EntryKey, batch_bound

#: Batches that are tried in copies after a process was lost: trying about so many costs what starting a process does,
#: so that whatever comes, at most twice as much is spent as if one had known.
CAREFUL_BATCHES = 100
#: Number of the stream of urgent texts, and how many others a batch may hold for them to wait for.
_URGENT, _BESIDE = 1, 64


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
        self._urgent: deque[Entry] = deque()  # those that wait
        self._others: deque[Entry] = deque()
        self._urgent_first = False
        self._care_left = dict.fromkeys((Care.ALL, Care.TEXT_PATH), 0)  # the greatest care first

    def __len__(self) -> int:
        """Count of entries in hand."""
        return len(self._entries)

    def __contains__(self, entry: Entry) -> bool:
        return entry.key in self._entries

    @property
    def waiting(self) -> int:
        """Entries that no pool process has yet."""
        return len(self._urgent) + len(self._others)

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
            self._lane(entry).append(entry)

    def hold(self, entry: Entry) -> None:
        """Take in an entry that waits for no process, since it is answered at once."""
        self._entries[entry.key] = entry

    def drop(self, entries: Iterable[Entry]) -> None:
        """Let go of entries that are answered or handed back."""
        for entry in entries:
            self._entries.pop(entry.key, None)

    def take(self, share: int) -> Batch | None:
        """Return the next batch, oldest entries first, or None when nothing waits.

        A batch is answered as a whole. So urgent entries have one of their own where it would hold many others, or
        more than fit in; every second one is then the others', which are not starved.

        Args:
            share: most entries; entries that failed before get smaller batches, by themselves in the end.
        """
        few = len(self._others) <= _BESIDE
        together = few and self.waiting <= share
        self._urgent_first = bool(self._urgent) and not self._urgent_first
        if self._urgent_first:
            lanes = [self._urgent, self._others] if together else [self._urgent]
        else:
            lanes = [self._others, self._urgent] if few else [self._others]
        entries: list[Entry] = []
        bound = share
        failures = next((lane[0].failures for lane in lanes if lane), 0)
        for lane in lanes:
            while lane and len(entries) < bound and lane[0].failures == failures:
                entry = lane.popleft()
                bound = min(bound, batch_bound(entry.failures, self._batch_texts))
                entries.append(entry)
        if not entries:
            return None
        care = Care.ALL if failures else next((care for care, left in self._care_left.items() if left), Care.NONE)
        passing = self._urgent_first and not together and len(entries) <= _BESIDE
        if not passing:
            for each, left in self._care_left.items():
                self._care_left[each] = max(0, left - 1)
        return Batch(self.queue, entries, care, passing)

    def put_back(self, batch: Batch) -> None:
        """Return a batch that no process started on, to where it was; it counts as no failure."""
        for entry in reversed(batch.entries):
            self._lane(entry).appendleft(entry)
        self._urgent_first = batch.entries[0].stream != _URGENT  # so that the next batch begins as this one did

    def failed(self, batch: Batch) -> list[Entry]:
        """Let a batch whose process was lost be tried again in smaller ones; returns entries that are given up."""
        exhausted = []
        for entry in batch.entries:
            entry.failures += 1
            if entry.failures >= self._max_deliveries:
                exhausted.append(entry)
            else:
                self._lane(entry).append(entry)
        return exhausted

    def be_careful(self, care: Care) -> None:
        """Take as much care, or more, with the next batches."""
        for each in self._care_left:
            if each <= care:
                self._care_left[each] = CAREFUL_BATCHES

    def take_waiting(self) -> list[Entry]:
        """Return what waits, which from then on waits no more: it is to be handed back."""
        waiting = [*self._urgent, *self._others]
        self._urgent.clear()
        self._others.clear()
        return waiting

    def _lane(self, entry: Entry) -> deque[Entry]:
        return self._urgent if entry.stream == _URGENT else self._others

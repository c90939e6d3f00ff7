"""What a worker has in hand: requests read from a stream and not yet answered, and the batches made of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import msgspec

#: A request's key in the table: number of its stream (1 high, 2 normal, 3 low) and entry id.
EntryKey = tuple[int, str]


#: Code and message of a text that no process survived.
LOST = ("worker_lost", "the process that classified it died")


class Care(IntEnum):
    """What is tried in copies of a pool process: nothing, each text's way through the text path, or all of a batch."""

    NONE = 0
    TEXT_PATH = 1
    ALL = 2


@dataclass(slots=True)
class Entry:
    """One request in hand.

    Attributes:
        stream: 1 high, 2 normal, 3 low.
        entry: id of the stream entry.
        fields: flat ``[field, value, …]`` as Redis returned it.
        deliveries: times Redis has delivered it, this one included.
        failures: times a process was lost or stopped while holding it, earlier deliveries included.
    """

    stream: int
    entry: str
    fields: list[bytes]
    deliveries: int = 1
    failures: int = 0

    @property
    def key(self) -> EntryKey:
        """Its key in the table of entries in hand."""
        return (self.stream, self.entry)


@dataclass(slots=True, eq=False)
class Batch:
    """Entries given to one pool process.

    Attributes:
        care: that is taken lest a text of it end its process.
        passing: a few urgent texts that go before the others of their queue, which has the next batch all the same.
        accepted: a process has said that it started on the batch.
        job: the pool's handle of it.
    """

    queue: str
    entries: list[Entry]
    care: Care = Care.NONE
    passing: bool = False
    accepted: bool = False
    job: Any = field(default=None, repr=False)


def batch_bound(failures: int, batch_texts: int) -> int:
    """Return how many entries may share a batch with one that has failed ``failures`` times.

    A text that takes its process down is isolated by this alone: 512, 64, 8, then by itself, and its neighbours
    succeed in the batches it is no longer in. It works across workers, since Redis counts the deliveries.
    """
    bound: int = batch_texts >> (3 * failures)
    return max(1, bound)


_encoder = msgspec.msgpack.Encoder()


def pack_batch(queue: str, now_ms: int, entries: list[Entry]) -> bytes:
    """Return the bytes that travel to a pool process."""
    return _encoder.encode((queue, now_ms, [(e.stream, e.entry, e.fields) for e in entries]))


class PackedBatch(msgspec.Struct, array_like=True):
    """A batch as a pool process receives it."""

    queue: str
    now_ms: int
    entries: list[tuple[int, str, list[bytes]]]


def pack_keys(entries: list[Entry]) -> bytes:
    """Return entry ids by stream, as the Lua scripts expect them (cmsgpack knows strings, not bin)."""
    lists: tuple[list[str], list[str], list[str]] = ([], [], [])
    for entry in entries:
        lists[entry.stream - 1].append(entry.entry)
    return _encoder.encode(lists)

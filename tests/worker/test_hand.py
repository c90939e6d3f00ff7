"""Entries in hand: none vanishes, none is in two places, and a poisoned one ends up alone."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sortgate.worker.entries import Batch, Entry
from sortgate.worker.hand import Hand

MAX_DELIVERIES = 5


class HandMachine(RuleBasedStateMachine):
    """Any order of reads, batches, failures, discarded batches and commits."""

    def __init__(self) -> None:
        super().__init__()
        self.hand = Hand("q", 64, 16, MAX_DELIVERIES)
        self.read = 0
        self.running: list[Batch] = []
        self.committing: list[Entry] = []
        self.gone = 0

    @rule(count=st.integers(1, 20), deliveries=st.integers(1, MAX_DELIVERIES))
    def read_some(self, count: int, deliveries: int) -> None:
        for _ in range(count):
            self.read += 1
            entry = Entry(1 + self.read % 3, f"{self.read}-0", [], deliveries, deliveries - 1)
            self.hand.add(entry)
            self.hand.add(Entry(entry.stream, entry.entry, []))  # found again after a reconnect

    @rule(share=st.integers(1, 40))
    def take(self, share: int) -> None:
        waiting = self.hand.waiting
        batch = self.hand.take(share)
        if batch is None:
            assert waiting == 0
            return
        assert 1 <= len(batch.entries) <= share
        assert len({entry.failures for entry in batch.entries}) == 1, "first-timers do not pay for texts that failed"
        if batch.entries[0].failures == MAX_DELIVERIES - 1:
            assert len(batch.entries) == 1, "the last delivery is never shared"
        self.running.append(batch)

    @rule()
    def fail(self) -> None:
        if self.running:
            batch = self.running.pop(0)
            given_up = self.hand.failed(batch)
            assert all(entry.failures == MAX_DELIVERIES for entry in given_up)
            self.committing += given_up

    @rule()
    def discard(self) -> None:
        if self.running:
            batch = self.running.pop()
            before = [entry.failures for entry in batch.entries]
            self.hand.put_back(batch)
            assert [entry.failures for entry in batch.entries] == before
            assert self.hand.take(len(batch.entries)).entries == batch.entries  # type: ignore[union-attr]
            self.running.append(batch)

    @rule()
    def answer(self) -> None:
        if self.running:
            self.committing += self.running.pop(0).entries

    @rule()
    def confirm(self) -> None:
        self.hand.drop(self.committing)
        self.gone += len(self.committing)
        self.committing = []

    @invariant()
    def every_entry_is_in_one_place(self) -> None:
        running = sum(len(batch.entries) for batch in self.running)
        assert self.hand.waiting + running + len(self.committing) == len(self.hand) == self.read - self.gone
        assert self.hand.room == 64 - len(self.hand)


TestHand = HandMachine.TestCase


def test_what_is_handed_back_waits_no_more() -> None:
    hand = Hand("q", 8, 4, MAX_DELIVERIES)
    entries = [Entry(2, f"{i}-0", []) for i in range(6)]
    for entry in entries:
        hand.add(entry)
    batch = hand.take(2)
    assert hand.take_waiting() == entries[2:]
    assert hand.waiting == 0
    assert batch is not None
    assert all(entry in hand for entry in batch.entries)

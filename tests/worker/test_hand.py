"""Entries in hand: none vanishes, none is in two places, and a poisoned one ends up alone."""

from __future__ import annotations

from hypothesis import given, settings
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
            again = self.hand.take(len(batch.entries))
            assert again is not None
            assert again.entries == batch.entries[: len(again.entries)], "where it was"
            self.running.append(again)

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


def urgent_and_others(urgent: int, others: int) -> Hand:
    hand = Hand("q", 4096, 512, MAX_DELIVERIES)
    for number in range(others):
        hand.add(Entry(2 + number % 2, f"{number}-0", []))
    for number in range(urgent):
        hand.add(Entry(1, f"{number}-0", []))
    return hand


def streams(batch: Batch | None) -> set[int]:
    assert batch is not None
    return {entry.stream for entry in batch.entries}


def test_urgent_entries_do_not_wait_for_a_batch_of_others() -> None:
    hand = urgent_and_others(3, 1000)
    assert streams(hand.take(512)) == {1}
    assert streams(hand.take(512)) == {2, 3}
    hand.add(Entry(1, "9-0", []))
    assert streams(hand.take(512)) == {1}


def test_urgent_entries_share_a_batch_with_a_few_others() -> None:
    batch = urgent_and_others(3, 64).take(512)
    assert batch is not None
    assert len(batch.entries) == 67
    assert streams(urgent_and_others(3, 65).take(512)) == {1}


def test_urgent_entries_that_come_meanwhile_do_not_join_many_others() -> None:
    hand = urgent_and_others(3, 300)
    hand.take(512)
    hand.add(Entry(1, "late-0", []))
    assert streams(hand.take(512)) == {2, 3}
    assert streams(hand.take(512)) == {1}


def test_only_a_few_urgent_entries_take_no_turn_of_their_queue() -> None:
    few, many, alone = urgent_and_others(64, 300), urgent_and_others(65, 300), urgent_and_others(3, 0)
    batches = [hand.take(512) for hand in (few, many, alone)]
    assert [batch is not None and batch.passing for batch in batches] == [True, False, False]
    others = few.take(512)
    assert others is not None
    assert not others.passing


@given(others=st.integers(1, 150), share=st.integers(1, 64))
@settings(deadline=None)
def test_a_flood_of_urgent_entries_starves_no_others(others: int, share: int) -> None:
    """Every second batch begins with the others, however many urgent entries follow."""
    hand = urgent_and_others(0, others)
    for batch in range(2 * -(-others // share)):
        for number in range(70):
            hand.add(Entry(1, f"{batch}-{number}", []))
        hand.take(share)
    assert {entry.stream for entry in hand.take_waiting()} <= {1}

"""How much care batches get after a process was lost, and for how long."""

from __future__ import annotations

import pytest

from sortgate.worker.entries import Care, Entry
from sortgate.worker.hand import CAREFUL_BATCHES, Hand


def hand_with(count: int, failures: int = 0) -> Hand:
    hand = Hand("q", 10_000, 256, 5)
    for number in range(count):
        hand.add(Entry(2, f"{number}-0", [], failures=failures))
    return hand


def cares(hand: Hand, count: int) -> list[Care]:
    return [batch.care for _ in range(count) if (batch := hand.take(1))]


@pytest.mark.parametrize("care", [Care.TEXT_PATH, Care.ALL])
def test_care_lasts_for_so_many_batches_from_the_last_loss(care: Care) -> None:
    hand = hand_with(1000)
    assert cares(hand, 3) == [Care.NONE] * 3
    hand.be_careful(care)
    assert cares(hand, 5) == [care] * 5
    hand.be_careful(care)
    assert cares(hand, CAREFUL_BATCHES + 1) == [care] * CAREFUL_BATCHES + [Care.NONE]


def test_less_care_does_not_end_more() -> None:
    hand = hand_with(1000)
    hand.be_careful(Care.ALL)
    cares(hand, 10)
    hand.be_careful(Care.TEXT_PATH)
    assert cares(hand, CAREFUL_BATCHES + 1) == (
        [Care.ALL] * (CAREFUL_BATCHES - 10) + [Care.TEXT_PATH] * 10 + [Care.NONE]
    )


def test_texts_that_failed_before_get_all_care() -> None:
    """Whoever lost them: Redis counts the deliveries of other workers, too."""
    assert cares(hand_with(3, failures=1), 3) == [Care.ALL] * 3

"""How a read is shared between priorities."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sortgate.worker.shares import WEIGHTS, Turns, shares


@given(st.integers(1, 10_000), st.lists(st.booleans(), min_size=3, max_size=3))
def test_no_stream_is_left_out_and_the_room_is_kept(room: int, busy: list[bool]) -> None:
    counts = shares(room, busy)
    assert min(counts) >= 1
    assert sum(count for count, had in zip(counts, busy, strict=True) if had) <= room + 3
    assert sum(counts) <= 2.7 * room + 3
    busy = busy if any(busy) else [True] * 3
    for count, weight, had in zip(counts, WEIGHTS, busy, strict=True):
        others = sum(other for other, has in zip(WEIGHTS, busy, strict=True) if has) - (weight if had else 0)
        assert count == max(1, room * weight // (weight + others))


@pytest.mark.parametrize(
    ("busy", "counts"),
    [
        ((True, True, True), [80, 30, 10]),
        ((False, True, False), [87, 120, 30]),  # one stream alone may fill the room
        ((True, False, False), [120, 32, 13]),
        ((False, False, False), [80, 30, 10]),
    ],
)
def test_weights(busy: tuple[bool, bool, bool], counts: list[int]) -> None:
    assert shares(120, busy) == counts


@given(st.lists(st.integers(1, 11), min_size=200, max_size=200), st.lists(st.booleans(), min_size=3, max_size=3))
def test_small_reads_keep_to_the_weights_over_time(rooms: list[int], busy: list[bool]) -> None:
    turns, read = Turns(), [0, 0, 0]
    for room in rooms:
        counts = turns.take(room, busy)
        for number, count in enumerate(counts):
            read[number] += count
            assert count >= 1 or busy[number], "what had nothing is looked at every time"
        if any(busy):
            assert sum(count for count, had in zip(counts, busy, strict=True) if had) == room
    if any(busy):
        together = sum(weight for weight, had in zip(WEIGHTS, busy, strict=True) if had)
        for count, weight, had in zip(read, WEIGHTS, busy, strict=True):
            if had:
                assert abs(count - sum(rooms) * weight / together) <= 12


def test_larger_reads_are_shared_at_once() -> None:
    assert Turns().take(120, [True, True, True]) == shares(120, [True, True, True])

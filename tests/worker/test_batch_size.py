"""How large batches become."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sortgate.worker.batch_size import LATEST, LONGEST_S, SMALL, BatchSize

BATCHES = st.lists(st.tuples(st.integers(1, 2_000), st.floats(0.0, 30.0)), max_size=30)


@given(limit=st.integers(1, 5_000), batches=BATCHES)
def test_the_limit_is_kept_and_small_batches_are_always_allowed(limit: int, batches: list[tuple[int, float]]) -> None:
    size = BatchSize(limit)
    assert size.most == min(limit, SMALL), "nothing is known of the cost"
    for texts, seconds in batches:
        size.took(texts, seconds)
        assert min(limit, SMALL) <= size.most <= limit


@given(text_s=st.floats(1e-6, 1e-1), limit=st.integers(SMALL, 20_000))
def test_a_batch_takes_no_longer_than_an_urgent_text_may_wait(text_s: float, limit: int) -> None:
    size = BatchSize(limit)
    size.took(SMALL, SMALL * text_s)
    assert size.most == SMALL or size.most * text_s <= LONGEST_S * 1.001
    assert size.most == limit or (size.most + 1) * text_s >= LONGEST_S * 0.999


def test_a_few_single_texts_make_no_batch_small() -> None:
    size = BatchSize(512)
    for _ in range(10):
        size.took(512, 512 * 0.0002)
    for _ in range(50):
        size.took(1, 0.004)
    assert size.most == 512


def test_what_has_become_expensive_is_noticed_within_some_thousand_texts() -> None:
    size = BatchSize(4_096)
    size.took(100_000, 1.0)
    assert size.most == 4_096
    for _ in range(4 * LATEST // SMALL):
        size.took(SMALL, SMALL * 1.2 * LONGEST_S / SMALL)
    assert size.most == SMALL


def test_a_batch_that_hung_is_forgotten_within_some_batches() -> None:
    size = BatchSize(512)
    size.took(512, 512 * 0.0003)
    size.took(512, 60.0)
    for _ in range(4):
        size.took(size.most, size.most * 0.0003)
    assert size.most == 512

"""How large batches become, and that what a worker has in hand follows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sortgate.worker.batch_size import LATE, LONGEST_S, SMALL, BatchSize

BATCHES = st.lists(st.tuples(st.integers(0, 2_000), st.floats(0.0, 30.0)), max_size=30)


@given(limit=st.integers(1, 5_000), batches=BATCHES)
def test_the_limit_is_kept_and_small_batches_are_always_allowed(limit: int, batches: list[tuple[int, float]]) -> None:
    size = BatchSize(limit)
    assert size.most == min(limit, SMALL), "nothing is known of the cost"
    for texts, seconds in batches:
        size.took(texts, seconds)
        assert min(limit, SMALL) <= size.most <= limit


@given(text_s=st.floats(1e-6, 1e-1), batches=st.integers(1, 50))
def test_a_batch_takes_about_as_long_as_an_urgent_text_may_wait(text_s: float, batches: int) -> None:
    size = BatchSize(100_000)
    for _ in range(batches):
        size.took(SMALL, SMALL * text_s)
    assert abs(size.most - min(100_000, max(SMALL, LONGEST_S / text_s))) <= 1


def test_small_batches_whose_texts_cost_more_hardly_count() -> None:
    size = BatchSize(100_000)
    for _ in range(10):
        size.took(1_000, 0.1)
    for _ in range(50):
        size.took(1, 0.004)
    assert size.most > LONGEST_S / 0.0001 / 2.5


def test_what_has_become_expensive_is_noticed_within_some_thousand_texts() -> None:
    size = BatchSize(100_000)
    size.took(100_000, 10.0)
    for _ in range(3 * LATE // SMALL):
        size.took(SMALL, SMALL * 0.001)
    assert size.most < 300

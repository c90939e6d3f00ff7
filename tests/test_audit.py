"""The total-queue check counts what it says."""

from __future__ import annotations

from sortgate.audit import QueueAudit, audit


def test_each_kind_of_damage_is_counted_and_makes_a_run_invalid() -> None:
    found = audit(attempted="abcdef", acknowledged="abcd", answered=["a", "b", "b", "b", "e", "z"])
    assert found == QueueAudit(6, 4, 3, lost=2, unexpected=1, duplicated=2, recovered=1)
    assert not found.valid


def test_a_clean_run_is_valid_even_with_an_unknown_outcome() -> None:
    assert audit("abc", "ab", "ab").valid
    assert audit("abc", "ab", "abc").valid
    assert not audit("ab", "ab", "a").valid
    assert not audit("ab", "ab", "aba").valid
    assert not audit("ab", "ab", "abz").valid

"""What learned components share: counts that stay bounded, words, and states that are checked when they are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from typing import TypeVar

import msgspec

T = TypeVar("T", bound=Hashable)
S = TypeVar("S", bound=msgspec.Struct)

#: Different things counted at a time, some 100 MB of them.
MOST_COUNTED = 1_000_000


def count(groups: Iterable[Iterable[T]], most: int = MOST_COUNTED) -> Counter[T]:
    """Count what the groups hold; when it is too much, the rarest are forgotten (word2vec's ``ReduceVocab``).

    What is kept does not depend on the order within a group, so a group may be a set.
    """
    counts: Counter[T] = Counter()
    floor = 0
    for group in groups:
        counts.update(group)
        while len(counts) > most:
            floor += 1
            counts = Counter({thing: times for thing, times in counts.items() if times > floor})
    return counts


def most_frequent(counts: Iterable[tuple[str, int]], most: int) -> list[tuple[str, int]]:
    """Return the most frequent that can be written as UTF-8, ties in the order of their code points."""
    ordered = sorted(counts, key=lambda entry: (-entry[1], entry[0]))
    return [entry for entry in ordered if is_writable(entry[0])][:most]


def is_word(token: str) -> bool:
    """Whether a token starts with a letter or a digit, of any script: no sign, no mask such as ``<url>``."""
    return token[:1].isalnum()


def is_writable(token: str) -> bool:
    """Whether a token holds no lone surrogate, which a normalizer or tokenizer may have made."""
    try:
        token.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_state(state: bytes, form: type[S]) -> S:
    """Read what ``msgspec.json.encode`` wrote of a ``form``.

    Raises:
        ValueError: it is anything else; says where.
    """
    try:
        return msgspec.json.decode(state, type=form)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ValueError(f"the learned state is malformed: {exc}") from None


def nothing_learned(name: str) -> RuntimeError:
    """Return the error of a component that is called before it has learned."""
    return RuntimeError(f"{name} has learned nothing yet: fit or restore it first")

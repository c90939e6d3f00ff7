"""Exact lookup of word pairs inside an ONNX graph, which has no dictionary: a cuckoo hash table of two choices.

A pair's key is ``first · vocabulary + second``. It lies in one of two slots (Pagh & Rodler 2004), so two gathers and
two comparisons find it, and nothing else is ever taken for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sortgate.vocabulary import FIRST_ID

IntArray = npt.NDArray[np.int64]

#: Slots a pair, at least: two choices fill a table up to half (Pagh & Rodler 2004).
_SPACE = 2.5
_TURNS = 500
#: Of the two hash functions, for the left and the right id: below 2^40, so that sums of products stay in 63 bits.
MULTIPLIERS = ((1_000_000_007, 998_244_353_551), (865_415_093_039, 6_728_042_131))
#: In slots without a pair, and the key of what is no pair.
NO_KEY = -1


@dataclass(frozen=True)
class PairTable:
    """Finds pairs.

    Attributes:
        size: of the vocabulary.
        slots: ``[slots]`` keys, :data:`NO_KEY` where there is none; their count is a prime.
        numbers: ``[slots]`` row of the key in the table of weights, from 1 on; 0 where there is none.
    """

    size: int
    slots: IntArray
    numbers: IntArray

    def rows(self, keys: IntArray) -> IntArray:
        """Return each key's row, 0 for those that are not there."""
        first, second = slots_of(np.maximum(keys, 0), self.size, len(self.slots))
        found = np.where(self.slots[first] == keys, self.numbers[first], 0)
        # the larger, not the sum: both choices may be one slot
        return np.maximum(found, np.where(self.slots[second] == keys, self.numbers[second], 0))


def pair_keys(ids: IntArray, rows: IntArray, size: int) -> IntArray:
    """Return the key of each id and the next; :data:`NO_KEY` at the end of a text and beside unknown tokens.

    Args:
        ids: of all texts, one after the other.
        rows: the text of each id.
        size: of the vocabulary.
    """
    after = np.append(ids[1:], 0)
    known = (ids >= FIRST_ID) & (after >= FIRST_ID) & (rows == np.append(rows[1:], -1))
    return np.where(known, ids * size + after, NO_KEY)


def slots_of(keys: IntArray, size: int, slots: int) -> tuple[IntArray, IntArray]:
    """Return the two slots of each key."""
    left, right = keys // size, keys % size
    first, second = ((left * a + right * b) % slots for a, b in MULTIPLIERS)
    return first, second


def build_pair_table(keys: IntArray, size: int) -> PairTable:
    """Return a table of distinct keys, numbered from 1 in their order; a key that finds no place is left out."""
    slots = _slot_count(max(size, int(len(keys) * _SPACE)))
    choices = np.stack(slots_of(keys, size, slots), axis=1).tolist()
    place = [NO_KEY] * slots  # number of the key in each slot
    for number in range(len(keys)):
        homeless, slot = number, choices[number][0]
        for _ in range(_TURNS):
            homeless, place[slot] = place[slot], homeless
            if homeless == NO_KEY:
                break
            first, second = choices[homeless]
            slot = second if slot == first else first
    numbers = np.array(place, dtype=np.int64)
    table = np.full(slots, NO_KEY, dtype=np.int64)
    table[numbers >= 0] = keys[numbers[numbers >= 0]]
    return PairTable(size, table, numbers + 1)


def _slot_count(least: int) -> int:
    """Return a prime above every id: only then do no three pairs share both of their slots, whatever the ids."""
    (a, b), (c, d) = MULTIPLIERS
    number = least + 1 | 1
    while (a * d - b * c) % number == 0 or any(number % n == 0 for n in range(3, int(number**0.5) + 1, 2)):
        number += 2
    return number

"""Length-sorted sub-batches: a text is padded only to the length of its neighbours in length."""

from __future__ import annotations

from collections.abc import Sequence

#: On CPUs the recurrent node gains little beyond this many rows, and larger batches pay more padding.
MAX_ROWS = 32
#: Most ids of one sub-batch, padding included: bounds the memory that long texts take.
MAX_IDS = 8_192


def length_sorted(lengths: Sequence[int], max_rows: int = MAX_ROWS, max_ids: int = MAX_IDS) -> list[list[int]]:
    """Return indices into ``lengths`` as sub-batches, shortest texts first, equal lengths in their order.

    Every index occurs once. A sub-batch has at most ``max_rows`` rows and ``max_ids`` ids with padding; a single text
    of more ids than that is a sub-batch of its own.
    """
    batches: list[list[int]] = []
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        # sorted, so this text's length is the width that the sub-batch would get
        if batch and (len(batch) >= max_rows or (len(batch) + 1) * lengths[index] > max_ids):
            batches.append(batch)
            batch = []
        batch.append(index)
    if batch:
        batches.append(batch)
    return batches

"""Length-sorted sub-batches: a text is padded only to the length of its neighbours in length."""

from __future__ import annotations

from collections.abc import Sequence

#: On CPUs the LSTM node gains little beyond this many rows, and larger batches pay more padding.
MAX_ROWS = 32
#: Most ids of one sub-batch, padding included: bounds the memory of long texts.
MAX_IDS = 16_384


def length_sorted(lengths: Sequence[int], max_rows: int = MAX_ROWS, max_ids: int = MAX_IDS) -> list[list[int]]:
    """Return indices into ``lengths`` as sub-batches, shortest texts first; every index occurs once."""
    batches: list[list[int]] = []
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        # sorted, so this length is the sub-batch's width
        if batch and (len(batch) == max_rows or (len(batch) + 1) * lengths[index] > max_ids):
            batches.append(batch)
            batch = []
        batch.append(index)
    if batch:
        batches.append(batch)
    return batches

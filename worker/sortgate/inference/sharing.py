"""Texts with the same token ids go through the model once: within a batch, and across batches as far as wanted."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np

from sortgate.inference.session import FloatArray
from sortgate.textpath import Encoded

#: Computes logits ``[texts, labels]``.
Compute = Callable[[Sequence[Encoded]], FloatArray]


class Sharing:
    """Shares logits, never labels: post-processors see every text, and may look at the clock.

    It belongs to one classifier, so to one bundle's fingerprint, and its key is what is left of a text after
    normalizers, tokenizer and vocabulary. So no answer is ever another bundle's, or of another preprocessing.

    Args:
        keep: texts whose logits are kept for later batches; those asked for longest ago are forgotten first. One takes
            about 200 bytes, 4 for each of its tokens and 4 for each label.

    Attributes:
        shared: texts that were given logits that were there already.
    """

    def __init__(self, keep: int = 0) -> None:
        self._keep = keep
        self._kept: OrderedDict[bytes, FloatArray] = OrderedDict()
        self.shared = 0

    def logits(self, encoded: Sequence[Encoded], compute: Compute) -> FloatArray:
        """Return logits ``[texts, labels]``, of which ``compute`` makes those that are not known."""
        kept = self._kept
        fresh: list[Encoded] = []
        places: dict[bytes, int] = {}  # of each key among the fresh ones
        rows: list[int | FloatArray] = []
        for item in encoded:
            key = item.packed
            if kept and (row := kept.get(key)) is not None:
                kept.move_to_end(key)
                rows.append(row)
                continue
            place = places.setdefault(key, len(fresh))
            if place == len(fresh):
                fresh.append(item)
            rows.append(place)
        if not fresh:
            self.shared += len(rows)
            return np.stack([row for row in rows if not isinstance(row, int)])
        computed = compute(fresh)
        if self._keep:
            self._remember(places, computed)
        if len(fresh) == len(rows):
            return computed
        self.shared += len(rows) - len(fresh)
        return np.stack([computed[row] if isinstance(row, int) else row for row in rows])

    def _remember(self, places: dict[bytes, int], computed: FloatArray) -> None:
        for key, place in places.items():
            self._kept[key] = computed[place].copy()  # a view would keep its whole batch
        while len(self._kept) > self._keep:
            self._kept.popitem(last=False)

"""Texts with the same token ids go through the model once: within a batch, and across batches as far as wanted."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np

from sortgate.encoded import Encoded
from sortgate.inference.session import FloatArray

#: Computes logits ``[texts, labels]``.
Compute = Callable[[Sequence[Encoded]], FloatArray]


class Sharing:
    """Shares logits, never labels: post-processors see every text, and may look at the clock.

    It belongs to one classifier, so to one bundle's fingerprint, and its key is what is left of a text after
    normalizers, tokenizer and vocabulary. So no answer is ever another bundle's, or of another preprocessing.

    Args:
        keep: texts whose logits are kept for later batches; those asked for longest ago are forgotten first. One takes
            about 200 bytes, 4 for each of its tokens and 4 for each label.
    """

    def __init__(self, keep: int = 0) -> None:
        self._keep = keep
        self._kept: OrderedDict[bytes, FloatArray] = OrderedDict()

    def logits(self, encoded: Sequence[Encoded], compute: Compute) -> tuple[FloatArray, int]:
        """Return logits ``[texts, labels]``, of which ``compute`` makes those that are not known; and how many are."""
        kept = self._kept
        fresh = {item.packed: item for item in encoded if item.packed not in kept}
        made: dict[bytes, FloatArray] = {}
        if fresh:
            made = dict(zip(fresh, compute([*fresh.values()]), strict=True))
        for item in encoded:
            if item.packed not in made:
                kept.move_to_end(item.packed)
        shared = len(encoded) - len(fresh)
        found = np.stack([made[item.packed] if item.packed in made else kept[item.packed] for item in encoded])
        self._remember(made)
        return found, shared

    def _remember(self, made: dict[bytes, FloatArray]) -> None:
        if self._keep:
            kept = self._kept
            kept.update((key, row.copy()) for key, row in made.items())  # a view would keep its whole batch
            while len(kept) > self._keep:
                kept.popitem(last=False)

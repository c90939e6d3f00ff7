"""Padded batches of texts of similar length.

Packing sequences keeps PyTorch from its fused CPU kernels (a third of the speed); batches of similar length
pay little for padding instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sortgate.encoded import Encoded, pack_ids

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

#: Batches whose texts are sorted together: more sort better, fewer mix better.
POOL_BATCHES = 50


@dataclass(frozen=True)
class Batch:
    """One step's texts: ids ``[batch, time]`` 0-padded, lengths ``[batch]`` ≥ 1, targets ``[batch]``.

    Where a text has any number of labels, targets are ``[batch, labels]``, true or false; where teachers' probabilities
    are learned from, see :class:`sortgate_training.distillation.TaughtTexts`.
    """

    ids: torch.Tensor
    lengths: torch.Tensor
    targets: torch.Tensor

    def __len__(self) -> int:
        """Count of texts."""
        return len(self.targets)

    def parts(self, count: int) -> list[Batch]:
        """Return the texts dealt out to ``count`` batches, or to fewer where there are not as many texts."""
        found = []
        for first in range(min(count, len(self))):
            lengths = self.lengths[first::count]
            ids = self.ids[first::count, : int(lengths.max())]
            found.append(Batch(ids, lengths, self.targets[first::count]))
        return found

    def to(self, device: torch.device) -> Batch:
        """Return the same on ``device``."""
        return Batch(self.ids.to(device), self.lengths.to(device), self.targets.to(device))


class EncodedTexts:
    """Token ids of many texts in one array, with what their labels are.

    Args:
        ids: each text's ids, at least one; packed ones stay so until they are in the array.
        targets: each text's label as a number; or ``[texts, labels]``, whether it has the label.
        rows: each text's number in the corpus that it is from; 0, 1, 2, … by default.
    """

    def __init__(
        self,
        ids: Sequence[Sequence[int]] | Sequence[Encoded],
        targets: Sequence[int] | npt.NDArray[np.bool_],
        rows: Sequence[int] | None = None,
    ) -> None:
        self.lengths = np.fromiter(map(len, ids), dtype=np.int64, count=len(ids))
        self._ends = np.cumsum(self.lengths)
        # a list of all ids would take nine times the room of the packed ones
        packed = b"".join(each.packed if isinstance(each, Encoded) else pack_ids(each) for each in ids)
        self._flat = np.frombuffer(packed, dtype=np.intc).astype(np.int64)
        sets = isinstance(targets, np.ndarray) and targets.ndim == 2
        self.targets: npt.NDArray[Any] = np.asarray(targets, dtype=np.bool_ if sets else np.int64)
        self.rows: IntArray = np.arange(len(ids)) if rows is None else np.asarray(rows, dtype=np.int64)

    def __len__(self) -> int:
        """Count of texts."""
        return len(self.lengths)

    def flat(self) -> IntArray:
        """Return all ids, one text after the other; ``lengths`` says where each ends."""
        return self._flat

    def batch(self, rows: npt.ArrayLike) -> Batch:
        """Return these texts, padded to the longest of them."""
        chosen = np.asarray(rows, dtype=np.int64)
        return Batch(*self.padded(chosen), torch.from_numpy(self.targets[chosen]))

    def padded(self, chosen: IntArray) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ids ``[batch, time]`` and lengths ``[batch]`` of these texts."""
        lengths = self.lengths[chosen]
        ends = self._ends[chosen]
        position = np.arange(int(lengths.max()))
        inside = position < lengths[:, None]
        ids = np.where(inside, self._flat[np.where(inside, (ends - lengths)[:, None] + position, 0)], 0)
        return torch.from_numpy(ids), torch.from_numpy(lengths)


class TrainingBatches:
    """The training texts as batches; iterating gives one epoch, in an order of its own that the seed decides.

    ``rates``, if given, are how often each text is drawn in an epoch, on average; see :func:`draw`.
    """

    def __init__(
        self, texts: EncodedTexts, *, batch_size: int, batch_tokens: int, seed: int, rates: FloatArray | None = None
    ) -> None:
        self.texts = texts
        #: in an epoch; about as many where texts are drawn
        self.tokens = int(texts.lengths.sum())
        self._rates = rates
        self._bounds = {"batch_size": batch_size, "batch_tokens": batch_tokens}
        self._generator = np.random.default_rng(seed)
        #: the generator's state before the order that is not used up yet, None when there is none
        self._before: dict[str, Any] | None = None
        self._skipped = 0
        self._next: list[IntArray] | None = self._order()
        self._count = len(self._next or ())

    def _order(self) -> list[IntArray]:
        self._before = dict(self._generator.bit_generator.state)
        drawn = None if self._rates is None else draw(self._rates, self.texts.targets, self._generator)
        return training_order(self.texts.lengths, self._generator, drawn, **self._bounds)

    def __iter__(self) -> Iterator[Batch]:
        order, self._next = self._next or self._order(), None
        skipped, self._skipped = self._skipped, 0
        for rows in order[skipped:]:
            yield self.texts.batch(rows)
        self._before = None

    def state(self) -> dict[str, Any]:
        """Return what gives the order under way, or else the next one, again."""
        return self._before or dict(self._generator.bit_generator.state)

    def restore(self, state: dict[str, Any], done: int) -> None:
        """Make the next epoch that of ``state``, without its first ``done`` batches."""
        self._generator.bit_generator.state = state
        self._next, self._skipped = self._order(), done

    def __len__(self) -> int:
        """Count of batches in the first epoch; where long texts fall makes others differ by a few."""
        return self._count


def draw(rates: FloatArray, targets: IntArray, generator: np.random.Generator) -> IntArray:
    """Return as many rows as there are texts, each drawn as often as its rate says, rounded up or down.

    Systematic sampling (Madow 1949), label by label: no label's share is left to chance, and every text gets its turn.

    Args:
        rates: ``[texts]``, with a mean of 1.
        targets: ``[texts]``, label numbers.
        generator: decides which texts of a label are drawn once more than others.
    """
    order = generator.permutation(len(rates))
    order = order[np.argsort(targets[order], kind="stable")]
    ends = np.floor(np.cumsum(rates[order]) + generator.random()).astype(np.int64)
    # rounding must not add or lose a text
    ends = np.minimum(ends, len(rates))
    ends[-1] = len(rates)
    return np.repeat(order, np.diff(ends, prepend=0))


def training_order(
    lengths: IntArray,
    generator: np.random.Generator,
    rows: IntArray | None = None,
    *,
    batch_size: int,
    batch_tokens: int,
) -> list[IntArray]:
    """Return an epoch's batches as rows: shuffled, sorted by length within pools of batches, shuffled again.

    ``rows``, all of them unless given, may hold a text several times or not at all.
    """
    order = generator.permutation(len(lengths) if rows is None else rows)
    batches: list[IntArray] = []
    pool = batch_size * POOL_BATCHES
    for start in range(0, len(order), pool):
        rows = order[start : start + pool]
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        batches.extend(cut(rows, lengths, batch_size=batch_size, batch_tokens=batch_tokens))
    return [batches[index] for index in generator.permutation(len(batches))]


def reading_order(lengths: IntArray, *, batch_size: int, batch_tokens: int) -> list[IntArray]:
    """Return batches as rows, shortest texts first: the cheapest way to run over all of them once."""
    return cut(np.argsort(lengths, kind="stable"), lengths, batch_size=batch_size, batch_tokens=batch_tokens)


def cut(rows: IntArray, lengths: IntArray, *, batch_size: int, batch_tokens: int) -> list[IntArray]:
    """Cut rows, ascending in length, into batches within both bounds; a text over the budget is a batch alone."""
    batches = []
    start = 0
    for index in range(len(rows)):
        size = index - start
        if size and (size == batch_size or (size + 1) * lengths[rows[index]] > batch_tokens):
            batches.append(rows[start:index])
            start = index
    if start < len(rows):
        batches.append(rows[start:])
    return batches

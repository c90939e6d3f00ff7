"""One label a text, or a set of them: which of the two a file means, and what its labels are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from sortgate_training.readers import Label

#: A text's labels, sorted; an empty set is an answer like any other.
LabelSet = tuple[str, ...]

#: What labels are usually joined by; a comma stands within many a label, too.
_SEPARATORS = ("|", ";")
_ALL_SEPARATORS = (*_SEPARATORS, ",")


def is_multi_label(labels: Iterable[Label], separator: str | None) -> bool:
    """Whether the labels are sets: a separator was given, or the file holds lists; never by guessing."""
    return separator is not None or any(isinstance(label, tuple) for label in labels)


def label_set(label: Label, separator: str | None) -> LabelSet | None:
    """Return the labels of one text; None for a missing value, which only a file of lists can tell from no labels."""
    if isinstance(label, str):
        if separator is None and not label.strip():
            return None
        label = tuple(label.split(separator)) if separator is not None else (label,)
    return tuple(sorted({name for part in label if (name := part.strip())}))


def label_table(sets: Sequence[LabelSet | None], names: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return ``[texts, labels]``, whether each text has each label; None is an empty set, other labels are left out."""
    column = {name: index for index, name in enumerate(names)}
    table = np.zeros((len(sets), len(names)), dtype=np.bool_)
    for row, labels in enumerate(sets):
        table[row, [column[label] for label in labels or () if label in column]] = True
    return table


def listed(labels: Iterable[str], most: int = 5) -> str:
    """Name the first few labels, quoted."""
    names = [repr(label) for label in labels]
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")


def separator_note(source: str, labels: Sequence[str]) -> str | None:
    """Suggest ``--label-separator`` where most labels look joined: they share a separator, and their parts recur."""
    distinct = set(labels)
    for separator in _SEPARATORS:
        joined = [label for label in distinct if separator in label]
        if 2 * len(joined) <= len(distinct) or len(distinct) < 3:
            continue
        parts = Counter(part for label in distinct for part in {part.strip() for part in label.split(separator)})
        if 2 * sum(count > 1 for count in parts.values()) > len(parts):
            return (
                f"{source}: {len(joined)} of {len(distinct)} labels contain {separator!r}, each taken as one label; "
                f"if a text may have several: --label-separator '{separator}'"
            )
    return None


def joined_labels(labels: Iterable[str]) -> tuple[str, dict[str, str]] | None:
    """Return a separator, and by each label that it joins of several the first of them that is a label by itself, too.

    One such label may be all that is seen of a forgotten ``--label-separator``; None where no label is of that kind.
    """
    distinct = set(labels)
    for separator in _ALL_SEPARATORS:
        joined = {}
        for label in sorted(label for label in distinct if separator in label):
            parts = [part.strip() for part in label.split(separator)]
            known = next((part for part in parts if part in distinct), None)
            if known is not None and all(parts):
                joined[label] = known
        if joined:
            return separator, joined
    return None

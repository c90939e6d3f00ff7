"""Texts to ids and targets, as the network learns from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from sortgate.encoded import Encoded
from sortgate.errors import ComponentError, DataError
from sortgate.textpath import TextPath
from sortgate_training.batches import EncodedTexts
from sortgate_training.data import Corpus


def encode_part(
    path: TextPath, corpus: Corpus, labels: list[str], say: Callable[[str], None]
) -> tuple[list[Encoded], EncodedTexts]:
    """Return the texts that pass the text path and have one of ``labels``, and the same as a table for the network.

    Raises:
        DataError: none is left.
    """
    number = {label: index for index, label in enumerate(labels)}
    texts, targets, rows, failed = [], [], [], 0
    raised: Counter[str] = Counter()  # by components, which is no fault of the texts
    for row, (item, names) in enumerate(zip(path.encode(corpus.texts), corpus.label_sets, strict=True)):
        numbers = [number[name] for name in names if name in number]
        if isinstance(item, ComponentError):
            raised[str(item)] += 1
        elif not isinstance(item, Encoded):
            failed += 1
        elif numbers or not names:
            texts.append(item)
            targets.append(numbers)
            rows.append(row)
    if not texts and raised:
        raise DataError(f"{corpus.source}: no text is left: {raised.most_common(1)[0][0]}")
    if not texts:
        raise DataError(
            f"{corpus.source}: no text is left after normalizing and tokenizing: each is longer than "
            "limits.max_text_bytes or limits.max_characters, or without tokens; see `sortgate check`"
            if failed
            else f"{corpus.source}: no text is left: none has a label that was learned"
        )
    for what, count in raised.most_common():
        say(f"{corpus.source}: {what} on {count:,} of {len(corpus):,} texts: left out, and so answered with that error")
    if failed:
        say(f"{corpus.source}: {failed} of {len(corpus)} texts cannot be used (too long, or no tokens): left out")
    cut = sum(text.truncated > 0 for text in texts)
    if cut > len(texts) // 100:
        say(f"{corpus.source}: {cut} of {len(texts)} texts are cut to their {path.limits.kept}")
    if corpus.sets is None:
        return texts, EncodedTexts(texts, [numbers[0] for numbers in targets], rows)
    table = np.zeros((len(texts), len(labels)), dtype=np.bool_)
    for index, numbers in enumerate(targets):
        table[index, numbers] = True
    return texts, EncodedTexts(texts, table, rows)

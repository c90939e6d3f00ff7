"""What the model itself says of a text's beginnings, and of the text with a token gone; run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from sortgate.encoded import Encoded
from sortgate.explain.scale import FloatArray
from sortgate.inference import Classifier
from sortgate.inference.batching import MAX_ROWS
from sortgate.vocabulary import UNKNOWN_ID

IntArray = npt.NDArray[np.int32]


def spans_of(tokens: int, most: int | None = None) -> list[slice]:
    """Return the tokens one by one, or where they are more than ``most``, so many spans of about the same length."""
    count = tokens if most is None else min(tokens, most)
    edges = [tokens * number // count for number in range(count + 1)]
    return [slice(start, stop) for start, stop in pairwise(edges)]


def run(classifier: Classifier, texts: Sequence[IntArray]) -> FloatArray:
    """Return logits ``[texts, labels]`` for arrays of ids ``[time]``."""
    # int8 scales what it reads by the whole batch, so there each text is run alone
    rows = 1 if classifier.manifest.model.precision == "int8" else MAX_ROWS
    return classifier.logits([Encoded(ids.tobytes()) for ids in texts], max_rows=rows).astype(np.float64)


def beginnings(classifier: Classifier, ids: IntArray, spans: Sequence[slice]) -> FloatArray:
    """Return logits ``[spans, labels]`` of the text that ends after each span of tokens."""
    return run(classifier, [ids[: span.stop] for span in spans])


def occluded(classifier: Classifier, ids: IntArray, spans: Sequence[slice]) -> FloatArray:
    """Return logits ``[spans, labels]`` of the text with the tokens of each span unknown.

    A token is replaced and not left out: its neighbours stay where they are, and do not become a pair that the text
    never had. And the unknown token is what training puts in the place of words (``token_dropout``), so the model has
    learned what a text with one word missing looks like.
    """
    variants = np.repeat(ids[None, :], len(spans), axis=0)
    for variant, span in zip(variants, spans, strict=True):
        variant[span] = UNKNOWN_ID
    return run(classifier, list(variants))

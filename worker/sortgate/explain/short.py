"""Explanations as workers put them into results: occlusion alone, bounded in size and in time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np

from sortgate.encoded import Encoded
from sortgate.errors import FOREIGN
from sortgate.explain.reading import beginnings, occluded, run, spans_of
from sortgate.explain.scale import Scale, probability
from sortgate.explain.stages import decide, follow
from sortgate.inference import Classifier
from sortgate.types import ShortDecision, ShortEffect, ShortExplanation
from sortgate.vocabulary import UNKNOWN_ID

#: Pieces of a text that are told apart at most: a longer one is explained in spans of neighbouring tokens.
MOST_PIECES = 64
#: Characters of a piece that are repeated.
MOST_CHARACTERS = 32
#: A batch's time for explanations: texts whose turn has not come by then are answered without.
BATCH_S = 2.0


def short_explanations(
    classifier: Classifier, texts: Sequence[str], batch_s: float = BATCH_S
) -> Iterator[ShortExplanation]:
    """Yield an explanation for each text, or in its place why there is none. Never raises, whatever a text does.

    Args:
        classifier: that has answered the texts.
        texts: texts with an answer.
        batch_s: seconds after which no further explanation is begun.
    """
    end = time.monotonic() + batch_s
    for text in texts:
        if time.monotonic() > end:
            yield ShortExplanation(skipped=f"the batch's {batch_s:g} s for explanations were spent")
            continue
        try:
            yield short_explanation(classifier, text)
        except FOREIGN as error:  # the answer stands; only its type, since the message may hold the text
            yield ShortExplanation(skipped=f"explaining failed: {type(error).__name__}")


def short_explanation(classifier: Classifier, text: str) -> ShortExplanation:
    """Explain the best label of a text that has an answer.

    Raises:
        SortgateError: it has none now, or ONNX Runtime failed.
    """
    staged = follow(classifier.text_path, text)
    encoded = staged.encoded
    if not isinstance(encoded, Encoded):
        raise encoded
    ids = np.array(encoded.ids, dtype=np.int32)
    logits = run(classifier, [ids])
    scores = classifier.scorer.scores(logits)[0]
    number = int(scores.argmax())
    scale = Scale(classifier.manifest, number)
    spans = spans_of(len(ids), MOST_PIECES)
    own = float(scale.log_odds(logits)[0])
    without = scale.log_odds(occluded(classifier, ids, spans))
    read = scale.log_odds(beginnings(classifier, ids, spans))
    (predicted,) = classifier.scorer.predict(logits, [encoded.truncated])
    _, decisions = decide(classifier.text_path, predicted, encoded)
    return ShortExplanation(
        label=classifier.labels[number],
        score=_rounded(float(scores[number])),
        tokens=tuple(
            ShortEffect(
                text=_cut(staged.tokens[span]),
                unknown=int((ids[span] == UNKNOWN_ID).sum()),
                occlusion=_rounded(own - gone),
                without=_rounded(probability(gone)),
                score=_rounded(probability(so_far)),
            )
            for span, gone, so_far in zip(spans, without.tolist(), read.tolist(), strict=True)
        ),
        truncated=encoded.truncated,
        decisions=tuple(
            ShortDecision(made.component, made.after.label, _rounded(made.after.score))
            for made in decisions
            if made.changed
        ),
    )


def _cut(tokens: Sequence[str]) -> str:
    text = " ".join(tokens)
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")

"""Explains one text: every stage, what the model makes of each token, and what the post-processors changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import numpy as np
from msgspec.structs import replace

from sortgate.encoded import Encoded
from sortgate.errors import ConfigurationError, InferenceError, TextError
from sortgate.explain.explanation import Explanation, Gradients, Method, TokenEffect
from sortgate.explain.gradients import integrate
from sortgate.explain.reading import IntArray, beginnings, occluded, run, spans_of
from sortgate.explain.scale import Scale, probability
from sortgate.explain.stages import decide, follow, valid
from sortgate.inference import Classifier
from sortgate.textpath import describe
from sortgate.types import LabelScore, Prediction
from sortgate.vocabulary import UNKNOWN_ID


def explain(classifier: Classifier, text: str, *, method: Method = "both", label: str | None = None) -> Explanation:
    """Explain the classifier's answer to one text.

    Args:
        classifier: loaded from a bundle; one that is no bundle yet has no gradients.
        text: the text.
        method: of the tokens' contributions: ``occlusion``, integrated ``gradients``, or ``both``. With ``both``, a
            model whose gradients cannot be computed is explained without; ``Explanation.gradients`` says why.
        label: a label of the bundle, by default the one with the highest probability.

    Raises:
        TypeError: ``text`` is no string.
        ConfigurationError: an unknown method or label.
        InferenceError: ONNX Runtime failed, a component does not give the same answer twice, or the gradients that
            were asked for cannot be computed. No message holds any of the text.
    """
    if not isinstance(text, str):
        raise TypeError(f"give one text, not {type(text).__name__}")
    if method not in get_args(Method):
        raise ConfigurationError(f"method {method!r}: use one of {', '.join(get_args(Method))}")
    if label is not None and label not in classifier.labels:
        raise ConfigurationError(f"label {label!r}: {classifier.model_name} has {_named(classifier.labels)}")
    staged = follow(classifier.text_path, text)
    encoded = staged.encoded
    error = describe(encoded) if isinstance(encoded, TextError) else None
    made = Explanation(
        model=classifier.model_name,
        fingerprint=classifier.fingerprint,
        text=valid(text),
        normalizers=staged.normalizers,
        tokenizer=staged.words[0] if staged.words else None,
        filters=staged.words[1:],
        cut=staged.cut,
        prediction=Prediction(None, error=error),
        error=error,
    )
    return (
        made if isinstance(encoded, TextError) else _answered(classifier, encoded, staged.tokens, made, method, label)
    )


def _answered(
    classifier: Classifier,
    encoded: Encoded,
    tokens: Sequence[str],
    made: Explanation,
    method: Method,
    label: str | None,
) -> Explanation:
    """Add what the model says of the tokens."""
    ids = np.array(encoded.ids, dtype=np.int32)
    logits = run(classifier, [ids, np.full_like(ids, UNKNOWN_ID)])  # of the text and of the reference
    scores = classifier.scorer.scores(logits)
    number = int(scores[0].argmax()) if label is None else classifier.labels.index(label)
    scale = Scale(classifier.manifest, number)
    own, reference = scale.log_odds(logits).tolist()
    effects = _effects(classifier, scale, ids, tokens)
    if method != "gradients":
        effects = _with_occlusion(classifier, scale, ids, own, effects)
    gradients = None
    if method != "occlusion":
        try:
            found, points = integrate(classifier, scale, ids.astype(np.int64), logits)
        except InferenceError as error:
            if method == "gradients":
                raise
            gradients = Gradients(problem=str(error))
        else:
            effects = [replace(effect, gradient=value) for effect, value in zip(effects, found.tolist(), strict=True)]
            total, summed = own - reference, float(found.sum())
            gradients = Gradients(total, summed, total - summed, points)
    order = np.argsort(-scores[0], kind="stable").tolist()
    (predicted,) = classifier.scorer.predict(logits[:1], [encoded.truncated])
    prediction, decisions = decide(classifier.text_path, predicted, encoded)
    return replace(
        made,
        tokens=tuple(effects),
        label=classifier.labels[number],
        score=float(scores[0, number]),
        log_odds=own,
        labels=tuple(LabelScore(classifier.labels[at], float(scores[0, at])) for at in order),
        reference=float(scores[1, number]),
        reference_log_odds=reference,
        gradients=gradients,
        decisions=decisions,
        prediction=prediction,
        error=prediction.error,
    )


def _effects(classifier: Classifier, scale: Scale, ids: IntArray, tokens: Sequence[str]) -> list[TokenEffect]:
    """Return what the model makes of the text's beginnings."""
    logits = beginnings(classifier, ids, spans_of(len(ids)))
    scores = classifier.scorer.scores(logits)
    best = scores.argmax(axis=1)
    return [
        TokenEffect(
            token=token,
            id=int(ident),
            known=ident != UNKNOWN_ID,
            score=probability(log_odds),
            best=LabelScore(classifier.labels[at], float(row[at])),
        )
        for token, ident, log_odds, at, row in zip(
            tokens, ids.tolist(), scale.log_odds(logits).tolist(), best.tolist(), scores, strict=True
        )
    ]


def _with_occlusion(
    classifier: Classifier, scale: Scale, ids: IntArray, own: float, effects: list[TokenEffect]
) -> list[TokenEffect]:
    """Add what is lost with each token that the model knows; without the others nothing changes."""
    known = [at for at, effect in enumerate(effects) if effect.known]
    without = np.full(len(ids), own)
    if known:
        spans = spans_of(len(ids))
        without[known] = scale.log_odds(occluded(classifier, ids, [spans[at] for at in known]))
    return [
        replace(effect, without=probability(value), occlusion=own - value)
        for effect, value in zip(effects, without.tolist(), strict=True)
    ]


def _named(labels: Sequence[str]) -> str:
    return ", ".join(labels[:10]) + ", …" * (len(labels) > 10)

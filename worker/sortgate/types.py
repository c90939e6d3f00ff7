"""The values that cross every border of Sortgate: what a classifier answers and what a queue returns."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

#: How a text ended, field ``status`` of the wire format.
Status = Literal["ok", "error", "dead", "rejected", "expired"]

#: Streams of one queue, most urgent first.
Priority = Literal["high", "normal", "low"]
PRIORITIES: tuple[Priority, ...] = ("high", "normal", "low")


class LabelScore(msgspec.Struct, frozen=True, array_like=True):
    """One label and its calibrated probability, 0 to 1. Serialized as ``[label, score]``."""

    label: str
    score: float


class PredictionError(msgspec.Struct, frozen=True):
    """Why one text has no label.

    Attributes:
        code: machine-readable reason.
        message: a sentence without the text itself.
        component: name of the component that failed, if one did.
        kind: its place in the text path: normalizer, tokenizer, filter or postprocessor.
        plugin: distribution that provided it, and its version.
    """

    code: str
    message: str
    component: str | None = None
    kind: str | None = None
    plugin: str | None = None


class Prediction(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a classifier says of one text.

    Attributes:
        label: the best label; None when the text failed, the classifier abstained, or no label of a
            multi-label classifier reached its threshold.
        score: calibrated probability of the best label, 0 to 1; 0 when the text failed.
        labels: labels with scores, best first. Single-label: every label, unless a post-processor
            shortened the list. Multi-label: the labels that reached their threshold.
        error: why the text failed, None when it did not.
        truncated: tokens that the bundle's ``max_tokens`` cut off.
    """

    label: str | None
    score: float = 0.0
    labels: tuple[LabelScore, ...] = ()
    error: PredictionError | None = None
    truncated: int = 0


class ShortEffect(msgspec.Struct, frozen=True, array_like=True):
    """What a token, or a span of them, does to the explained label. Serialized as an array in this order.

    Attributes:
        text: the tokens, cut to some characters.
        unknown: how many of them the vocabulary lacks.
        occlusion: log-odds of the label that are lost when they are unknown.
        without: probability of the label then, 0 to 1.
        score: probability of the label when the text ends after them, 0 to 1.
    """

    text: str
    unknown: int
    occlusion: float
    without: float
    score: float


class ShortDecision(msgspec.Struct, frozen=True, array_like=True):
    """What a label post-processor that changed a prediction made of its label and score."""

    component: str
    label: str | None
    score: float


class ShortExplanation(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a text has its label, as short as a result can carry it; ``Classifier.explain`` says more.

    Attributes:
        label: the label that is explained, the model's best one, before any post-processor.
        score: its calibrated probability.
        tokens: what the model reads, in order; longer texts in spans.
        truncated: tokens that it does not read.
        decisions: of the label post-processors that changed something, in their order.
        skipped: why nothing is explained, None when it is.
    """

    label: str | None = None
    score: float = 0.0
    tokens: tuple[ShortEffect, ...] = ()
    truncated: int = 0
    decisions: tuple[ShortDecision, ...] = ()
    skipped: str | None = None


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    """One answered request, as read back from a result stream.

    Attributes:
        id: the producer's id of the text, or the stream entry's id when it gave none.
        status: how the text ended.
        label: the best label, None unless ``status`` is ``ok`` and a label was chosen.
        score: its calibrated probability.
        labels: labels with scores, best first.
        model: ``name/version`` of the bundle that answered.
        fingerprint: digest of that bundle's manifest and so of its every file.
        code: machine-readable reason when ``status`` is not ``ok``.
        message: the reason in words.
        meta: the producer's opaque string, echoed.
        queued_ms: milliseconds from enqueueing to the start of the batch, by Redis's clock.
        batch_ms: milliseconds the text's batch took in the worker.
        explanation: why it has this label, when the request asked for it and ``status`` is ``ok``.
        undelivered_to: the reply stream that could not take the result, when it ended elsewhere.
        requeue_of: dead-letter entry this text was requeued from.
        extra: fields this version does not know, kept as strings.
        index: position of the text in the input of ``Client.stream`` and ``classify``; None elsewhere.
    """

    id: str
    status: Status
    label: str | None = None
    score: float = 0.0
    labels: tuple[LabelScore, ...] = ()
    model: str | None = None
    fingerprint: str | None = None
    code: str | None = None
    message: str | None = None
    meta: str | None = None
    queued_ms: float = 0.0
    batch_ms: float = 0.0
    explanation: ShortExplanation | None = None
    undelivered_to: str | None = None
    requeue_of: str | None = None
    extra: dict[str, Any] = {}
    index: int | None = None

"""What an explanation holds; every part of it is plain data that msgspec turns into JSON."""

from __future__ import annotations

from typing import Literal

import msgspec

from sortgate.types import LabelScore, Prediction, PredictionError

Method = Literal["both", "occlusion", "gradients"]


class TextStage(msgspec.Struct, frozen=True):
    """A text as a normalizer leaves it."""

    component: str
    text: str
    changed: bool


class TokenStage(msgspec.Struct, frozen=True):
    """Tokens as the tokenizer or a filter leaves them; all of them, none cut off."""

    component: str
    tokens: tuple[str, ...]
    changed: bool


class Cut(msgspec.Struct, frozen=True):
    """Tokens beyond the bundle's ``max_tokens``, which the model does not read.

    Attributes:
        kept: what it does read, in words.
        after: how many tokens that are read stand before them.
        tokens: themselves.
    """

    kept: str
    after: int
    tokens: tuple[str, ...]


class TokenEffect(msgspec.Struct, frozen=True):
    """One token that the model reads, and what it does to the explained label.

    Attributes:
        token: itself.
        id: its id; 1 for every token that the vocabulary lacks.
        known: whether the vocabulary has it.
        score: probability of the label when the text ends after this token, 0 to 1.
        best: the label that is best then, and its probability.
        without: probability of the label when this token alone is unknown; None unless asked for.
        occlusion: log-odds that are lost by that; None unless asked for.
        gradient: contribution by integrated gradients, in log-odds; None where there is none.
    """

    token: str
    id: int
    known: bool
    score: float
    best: LabelScore
    without: float | None = None
    occlusion: float | None = None
    gradient: float | None = None


class Gradients(msgspec.Struct, frozen=True):
    """What the contributions by integrated gradients add up to.

    Attributes:
        total: log-odds of the text less those of the reference, both by ONNX Runtime.
        sum: of the contributions.
        remainder: ``total`` less ``sum``: what the method, and the rounding of the model, leave unexplained.
        points: of the path at which derivatives were taken.
        problem: why there are none, None when there are; everything above is 0 then.
    """

    total: float = 0.0
    sum: float = 0.0
    remainder: float = 0.0
    points: int = 0
    problem: str | None = None


class Decision(msgspec.Struct, frozen=True):
    """What one label post-processor made of a prediction."""

    component: str
    before: Prediction
    after: Prediction
    changed: bool


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """How one bundle comes to its answer to one text.

    Attributes:
        model: ``name/version`` of the bundle.
        fingerprint: of the bundle.
        text: as it came.
        normalizers: in their order.
        tokenizer: None when the text failed before it.
        filters: in their order.
        cut: what was cut off, None when nothing was.
        tokens: those that the model reads, in their order.
        label: the label that is explained: the model's best one, unless another was asked for.
        score: its calibrated probability, 0 to 1.
        log_odds: ``ln(score / (1 − score))``.
        labels: every label with its calibrated probability, best first, before any post-processor.
        reference: probability of the label for a text of as many unknown tokens.
        reference_log_odds: the same as log-odds.
        gradients: what integrated gradients sum to; None when they were not asked for.
        decisions: what the label post-processors did, in their order.
        prediction: the answer, that of ``Classifier.__call__``.
        error: why the text has no answer, None when it has; the stages end where it failed.
    """

    model: str
    fingerprint: str
    text: str
    normalizers: tuple[TextStage, ...] = ()
    tokenizer: TokenStage | None = None
    filters: tuple[TokenStage, ...] = ()
    cut: Cut | None = None
    tokens: tuple[TokenEffect, ...] = ()
    label: str | None = None
    score: float = 0.0
    log_odds: float = 0.0
    labels: tuple[LabelScore, ...] = ()
    reference: float = 0.0
    reference_log_odds: float = 0.0
    gradients: Gradients | None = None
    decisions: tuple[Decision, ...] = ()
    prediction: Prediction
    error: PredictionError | None = None

    @property
    def unknown(self) -> tuple[str, ...]:
        """Tokens that the vocabulary lacks, each once, in the order in which they are read."""
        return tuple(dict.fromkeys(effect.token for effect in self.tokens if not effect.known))

    @property
    def contributions(self) -> tuple[float, ...]:
        """Return the tokens' contributions: by integrated gradients where there are, else by occlusion."""
        if self.tokens and self.tokens[0].gradient is not None:
            return tuple(effect.gradient or 0.0 for effect in self.tokens)
        return tuple(effect.occlusion or 0.0 for effect in self.tokens)

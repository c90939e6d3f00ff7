"""A text on its way through the components, looked at after each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sortgate.components.steps import TEXT, TOKENS, apply
from sortgate.encoded import Encoded
from sortgate.errors import InferenceError, TextError
from sortgate.explain.explanation import Cut, Decision, TextStage, TokenStage
from sortgate.textconfig import TextLimits
from sortgate.textpath import TextPath
from sortgate.types import Prediction

T = TypeVar("T")


@dataclass(frozen=True)
class Staged:
    """What each component made of a text, as far as it came.

    Attributes:
        encoded: the ids that the model reads, or why there are none.
        normalizers: texts after each.
        words: tokens after the tokenizer and after each filter.
        tokens: those of the ids, in their order; empty when there are none.
        cut: the others.
    """

    encoded: Encoded | TextError
    normalizers: tuple[TextStage, ...] = ()
    words: tuple[TokenStage, ...] = ()
    tokens: tuple[str, ...] = ()
    cut: Cut | None = None


def follow(path: TextPath, text: str) -> Staged:
    """Send a text through ``path``, component by component.

    Raises:
        InferenceError: a component answers otherwise the second time, so that its tokens are not those of the ids.
    """
    (encoded,) = path.encode([text])
    if not _may_enter(text, path.limits):
        return Staged(encoded)
    normalizers: list[TextStage] = []
    results: list[Any] = [text]
    for step in path.normalizers:
        (before,) = results
        apply(step.apart(), results, TEXT)
        (after,) = results
        if isinstance(after, TextError) or len(after) > path.limits.max_characters:
            return Staged(encoded, tuple(normalizers))
        normalizers.append(TextStage(step.name, valid(after), after != before))
    if not results[0].strip():
        return Staged(encoded, tuple(normalizers))
    words: list[TokenStage] = []
    for step in (path.tokenizer, *path.filters):
        (before,) = results
        apply(step.apart(), results, TOKENS)
        if isinstance(results[0], TextError):
            return Staged(encoded, tuple(normalizers), tuple(words))
        words.append(TokenStage(step.name, tuple(map(valid, results[0])), results[0] != before))
    if not isinstance(encoded, Encoded) or path.vocabulary is None:
        return Staged(encoded, tuple(normalizers), tuple(words))
    if list(_kept(path.vocabulary.encode(results[0]), path.limits)) != encoded.ids:
        raise InferenceError("a component answers otherwise when it is asked again, so its tokens cannot be explained")
    every = words[-1].tokens
    more = len(every) - path.limits.max_tokens
    head = path.limits.head
    cut = Cut(path.limits.kept, head, every[head : head + more]) if more > 0 else None
    return Staged(encoded, tuple(normalizers), tuple(words), tuple(_kept(every, path.limits)), cut)


def decide(path: TextPath, prediction: Prediction, encoded: Encoded) -> tuple[Prediction, tuple[Decision, ...]]:
    """Return what the label post-processors make of a text's prediction, and what each of them did."""
    decisions = []
    for step in path.postprocessors:
        alone = TextPath([], path.tokenizer, postprocessors=[step.apart()])
        (made,) = alone.postprocess([prediction], [encoded])
        decisions.append(Decision(step.name, prediction, made, made != prediction))
        prediction = made
        if prediction.error is not None:
            break
    return prediction, tuple(decisions)


def valid(text: str) -> str:
    """Return ``text`` as UTF-8 can carry it: a lone surrogate becomes ``?``."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _may_enter(text: str, limits: TextLimits) -> bool:
    return valid(text) == text and len(text.encode()) <= limits.max_text_bytes


def _kept(items: Sequence[T], limits: TextLimits) -> Sequence[T]:
    """Return those of a text's items that the model reads, as ``TextLimits.cut`` does with ids."""
    more = len(items) - limits.max_tokens
    return items if more <= 0 else [*items[: limits.head], *items[limits.head + more :]]

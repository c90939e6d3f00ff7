"""Texts of strangers: the corners of Unicode, nothing at all, and 64 KiB."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sortgate.conformance import samples
from sortgate.conformance.checks.processes import paces
from sortgate.conformance.findings import CheckError, raised, shown
from sortgate.conformance.predictions import wide
from sortgate.conformance.subject import Subject
from sortgate.errors import FOREIGN
from sortgate.types import LabelScore, Prediction

#: Times that a text may grow. NFKC makes 18 characters of U+FDFA, and no other mapping of Unicode more of any.
GROWTH = 18
_REPEATS = 200


def unicode(subject: Subject) -> None:
    """Every valid text is answered, with valid text that is not more than 18 times as long."""
    _survives(subject, _unicode(subject), "handle any valid Unicode; do not encode to anything but UTF-8")
    if subject.kind not in ("normalizer", "tokenizer"):
        return
    for what, text in samples.UNICODE.items():
        made = subject.call(subject.component, text * _REPEATS)
        pieces = [made] if isinstance(made, str) else made
        try:
            size = len("".join(pieces).encode().decode())
        except UnicodeEncodeError:
            advice = "let no lone surrogates out: cut texts between characters, not between UTF-16 units"
            raise CheckError(f"{what}: {shown(text)}", "text that is not valid Unicode", advice) from None
        if size > GROWTH * len(text) * _REPEATS + 1_000:
            came = f"{size:,} characters from {len(text) * _REPEATS:,}"
            raise CheckError(f"{what}: {shown(text)} {_REPEATS} times", came, f"grow a text {GROWTH} times at most")


def _unicode(subject: Subject) -> Iterator[tuple[str, Any]]:
    for (what, text), item in zip(samples.UNICODE.items(), subject.items(list(samples.UNICODE.values())), strict=True):
        yield f"{what}: {shown(item)}", item
        if subject.kind == "filter":
            yield f"{what}, as one token: {shown([text])}", [text]
            yield f"{what}, each character a token: {shown(list(text))}", list(text)
    if subject.kind == "filter":
        for tokens in samples.SURROGATE_TOKENS:
            yield f"tokens with lone surrogates: {tokens!a}", tokens
    if subject.kind == "postprocessor":
        for what, text in samples.UNICODE.items():
            odd = Prediction(text, 0.75, (LabelScore(text, 0.75), LabelScore("other", 0.25)))
            yield f"a label with {what}: {shown(text)}", (odd, text)


def blank(subject: Subject) -> None:
    """Nothing at all, and white space alone, are answered too."""
    items: list[Any] = subject.items(samples.BLANK)
    if subject.kind == "filter":
        items = [[], [""], [" "], ["", ""], *([text] for text in samples.BLANK)]
    elif subject.kind == "postprocessor":
        shapes = [
            Prediction(None, 0.25),
            Prediction("billing", 1.0, (LabelScore("billing", 1.0),)),
            wide(1),
            wide(1_000),
        ]
        items = [(shape, text) for shape in shapes for text in ("x", *samples.BLANK)]
    _survives(subject, ((shown(item), item) for item in items), "return what is left, even when that is nothing")


def huge(subject: Subject) -> None:
    """A text of 64 KiB is answered, whatever it holds."""
    for pace in paces(subject):
        if pace.failed is not None:
            advice = "handle texts of 64 KiB: loop where you call yourself, and set no limit of your own"
            raise CheckError(f"{pace.what} to 64 KiB", pace.failed, advice)


def _survives(subject: Subject, cases: Iterator[tuple[str, Any]] | Sequence[tuple[str, Any]], advice: str) -> None:
    for given, item in cases:
        try:
            made = subject.call(subject.component, item)
        except FOREIGN as error:
            raise CheckError(given, raised(error), advice) from None
        if not subject.form.fits(made):
            raise CheckError(given, f"{type(made).__name__} {shown(made)}", f"return {subject.form.noun}")

"""A component's name stands for what it returns: what was made faster says the same as it did before, on any text."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sortgate.components.normalizers import CollapseWhitespace, MaskEmails, MaskNumbers, MaskURLs, StripHTML

#: Pieces that the patterns look for, and characters that case folding, digits and white space make special.
PIECES = [
    "a", "w", "W", "www.", "WwW.", "w.", "ww", "http://", "HTTPſ://", "ftp:/", "://", "h", ".", ",", "!", "(",
    "\u0130", "1", "23", "4.5", "6,7", "٣", "１", "²", "½", "_", "é", "ﬀ", " ", "  ", "\t", "\n", "\r\n", "\x1c",
    "\x85", "\u00a0", "\u2003", "\u2028", "\u200b", "\u3000", "@", "a@b.c", "+", "-", "<", ">", "<b>", "&amp;", "&",
    "中", "\U0001f600",
]  # fmt: skip
TEXTS = st.one_of(st.lists(st.sampled_from(PIECES), max_size=12).map("".join), st.text())


def plain_numbers(text: str) -> str:
    pattern = re.compile(r"(?<!\w)\d++(?:[.,]\d++)*+(\w*+)")
    return pattern.sub(lambda match: match[0] if match[1] else "<number>", text)


def plain_urls(text: str) -> str:
    pattern = r"\b(?:https?://|ftp://|www\.)[^\s<>\"]*[^\s<>\".,;:!?'()\[\]{}]"
    return re.sub(pattern, "<url>", text, flags=re.IGNORECASE)


@pytest.mark.parametrize(
    ("component", "plain"),
    [
        (CollapseWhitespace(), lambda text: " ".join(text.split())),
        (MaskURLs(), plain_urls),
        (MaskEmails(), lambda text: re.sub(r"(?<![\w.+%-])[\w.+%-]++@[\w-]++(?:\.[\w-]++)++", "<email>", text)),
        (MaskNumbers(), plain_numbers),
    ],
    ids=lambda value: type(value).__name__,
)
def test_as_the_plain_form(component: Callable[[str], str], plain: Callable[[str], str]) -> None:
    @given(TEXTS)
    @settings(max_examples=1_000, deadline=None)
    def check(text: str) -> None:
        assert component(text) == plain(text)

    check()


@given(st.lists(TEXTS, max_size=4))
def test_html_in_batches(texts: list[str]) -> None:
    assert StripHTML().batch(texts) == [StripHTML()(text) for text in texts]


def test_only_the_space_is_white_and_printable() -> None:
    assert [char for char in map(chr, range(0x110000)) if char.isspace() and char.isprintable()] == [" "]
    assert [char for char in map(chr, range(0x110000)) if "w" in char.lower()] == ["W", "w"]

"""A text's plain spelling, character for character, so that what is found in it is found in the text."""

from __future__ import annotations

import re
import unicodedata

#: Where something was found: first character, and the one after the last.
Span = tuple[int, int]

#: Letters and digits of the scripts that put spaces between words, for character classes. Han, Kana, Hangul and Thai
#: are left out: a number in a Chinese sentence has no space before or after it.
WORD = (
    "0-9A-Za-z\u00aa\u00b5\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u0dff"
    "\u0f00-\u0fff\u10a0-\u10ff\u1200-\u177f\u1800-\u1fff"
)

# How far before a number a word still says what it is. Reading more would cost time, and find words about other things.
_WINDOW = 32


class _Plain(dict[int, int]):
    """Code point to the one that stands for it, worked out when it is first asked for."""

    def __missing__(self, code: int) -> int:
        char = chr(code)
        spelled = unicodedata.normalize("NFKC", char)
        if len(spelled) != 1 or not spelled.isascii():
            category = unicodedata.category(char)
            digit = unicodedata.decimal(char, None)
            spelled = char if digit is None else str(digit)
            spelled = {"Pd": "-", "Zs": " "}.get(category, spelled)
        made = ord("-" if char == "\u2212" else spelled)
        if code < 0x1_0000:  # a made-up text must not make a process remember a million of them
            self[code] = made
        return made


_PLAIN = _Plain()


def plain(text: str) -> str:
    """Return a text of the same length with ASCII digits, signs and spaces where others mean the same.

    Full-width forms, the decimal digits of every script, dashes and spaces of every width; all else stays.
    """
    return text if text.isascii() else text.translate(_PLAIN)


def last_cue(cues: re.Pattern[str], text: str, start: int) -> str | None:
    """Return the name of the group that matched last in what stands before ``start``, None when nothing did."""
    name = None
    for match in cues.finditer(text, max(0, start - _WINDOW), start):
        name = match.lastgroup
    return name

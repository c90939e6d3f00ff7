"""Built-in tokenizers (text to tokens) that learn nothing: words and characters."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Sequence
from functools import cache

# Scripts written without spaces between words. Blocks, not letters: their marks and signs go singly too.
_SINGLE = (
    "\u0e00-\u0e3e\u0e40-\u0eff"  # Thai (without the baht sign), Lao
    "\u1000-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f"  # Myanmar
    "\u1780-\u17ff\u19e0-\u19ff"  # Khmer
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303c"  # Han: radicals, signs, numerals
    "\u3041-\u3096\u3099-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # Hiragana, Katakana
    "\u3105-\u312f\u31a0-\u31bf"  # Bopomofo
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Han
    "\U0001aff0-\U0001b16f\U00020000-\U000323af"  # Kana and Han beyond the first plane
)
# Beyond the first plane scripts are taken as whole blocks, which the regular expression tests one by one.
_ASTRAL_WORDS = "\U00010000-\U0001afef\U0001bc00-\U0001bcaf\U0001d400-\U0001d7ff\U0001e000-\U0001eeff"
_SELECTORS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
# Joins letters inside a word (Persian, Indic scripts), hyphenates it, or selects a form; never starts a word.
_JOINERS = "\u00ad\u200c\u200d\u2060" + _SELECTORS
# Emoji and pictographs, and the signs that U+FE0F makes one.
_EMOJI = (
    "\u2190-\u21ff\u2300-\u23ff\u2460-\u24ff\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff"
    "\U0001f000-\U0001f1e5\U0001f200-\U0001faff"
)
_MASKS = "<(?:url|email|number)>"

_ASCII = rf"{_MASKS}|[a-zA-Z0-9]++(?:'[a-zA-Z0-9]++|(?<=[0-9])[.,](?=[0-9])[a-zA-Z0-9]++)*+|[!-/:-@\[-`{{-~]"


class Words:
    """Words with their marks and inner apostrophes, numbers, emoji; other signs, Han, Kana and Thai singly."""

    #: No token holds white space or depends on what is beyond it.
    by_white_space = True

    def __init__(self) -> None:
        self._ascii = re.compile(_ASCII).findall
        self._any = _unicode_pattern().findall

    def __call__(self, text: str) -> list[str]:
        if text.isascii():
            return self._ascii(text)
        # One word, one spelling: U+2019 is what phones type for the apostrophe.
        return self._any(text.replace("\u2019", "'"))

    def batch(self, texts: Sequence[str]) -> list[list[str]]:
        return [self(text) for text in texts]


@cache
def _unicode_pattern() -> re.Pattern[str]:
    r"""Compile the pattern for any text; on ASCII it finds what ``_ASCII`` does.

    The standard library's ``\w`` lacks combining marks, without which Devanagari falls apart,
    so the class of what may stand in a word is gathered from the Unicode data (some 10 ms, once a process).
    """
    single = re.compile(f"[{_SINGLE}]")
    starts, inner = [], []
    for code in range(0x10000):
        category = unicodedata.category(chr(code))
        if category[0] in "LMN" and not single.match(chr(code)):
            inner.append(code)
            if category[0] != "M":
                starts.append(code)
    word = f"[{_ranges(inner)}{_ASTRAL_WORDS}{_JOINERS}]"
    start = f"[{_ranges(starts)}{_ASTRAL_WORDS}]"
    number = "(?<=[0-9])[.,](?=[0-9])"
    emoji = f"[{_EMOJI}][\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]*+"
    return re.compile(
        "|".join(
            [
                _MASKS,
                "[0-9#*]\ufe0f?\u20e3",  # keycaps
                f"{start}{word}*+(?:'{start}{word}*+|{number}{word}++)*+",
                f"[{_SINGLE}][{_SELECTORS}]*+",
                "[\U0001f1e6-\U0001f1ff]{2}",  # flags
                f"{emoji}(?:\u200d{emoji})*+",
                # Anything else that is seen: no white space, no control or format characters.
                f"[^\\s\\x00-\\x1f\\x7f-\\x9f\u200b-\u200f\u202a-\u202e\u2066-\u206f\ufeff{_JOINERS}]",
            ]
        )
    )


def _ranges(codes: list[int]) -> str:
    """Write sorted code points as the ranges of a character class."""
    parts, start, last = [], codes[0], codes[0]
    for code in [*codes[1:], sys.maxunicode + 2]:
        if code != last + 1:
            parts.append(f"{re.escape(chr(start))}-{re.escape(chr(last))}")
            start = code
        last = code
    return "".join(parts)


class Characters:
    """Each character is a token, white space too."""

    def __call__(self, text: str) -> list[str]:
        return list(text)

    def batch(self, texts: Sequence[str]) -> list[list[str]]:
        return [list(text) for text in texts]

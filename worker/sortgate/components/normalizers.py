"""Built-in normalizers (text to text). All take time linear in the text, whatever it holds."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence

# ASCII text is in every normalization form, and isascii() costs nothing.
_SUSPECT_CHARACTERS = 1_000
_LONGEST_RUN = 30
_RUN = re.compile(b"[^\0]{%d,}" % (_LONGEST_RUN + 1))
#: Combining characters are not ASCII, and few texts have so much else in a row: one search saves a look at each.
_MAY_BE_RUN = re.compile(rf"[^\x00-\x7f]{{{_LONGEST_RUN + 1}}}")


class NFKC:
    """Unicode NFKC: full-width forms, ligatures and the like become their plain equivalents, accents are composed."""

    def __call__(self, text: str) -> str:
        if text.isascii():
            return text
        if len(text) > _SUSPECT_CHARACTERS and _MAY_BE_RUN.search(text):
            text = _stream_safe(text)
        return unicodedata.normalize("NFKC", text)

    def batch(self, texts: Sequence[str]) -> list[str]:
        return [text if text.isascii() else self(text) for text in texts]


def _stream_safe(text: str) -> str:
    """Break runs of more than 30 combining characters with U+034F (Stream-Safe Text Format, UAX #15 section 13).

    Python sorts such a run by insertion, which takes seconds for 64 KiB of them.
    """
    marks = {char: _is_mark(char) for char in set(text)}
    flags = bytes(map(marks.__getitem__, text))
    pieces, end = [], 0
    for run in _RUN.finditer(flags):
        for cut in range(run.start() + _LONGEST_RUN, run.end(), _LONGEST_RUN):
            pieces.append(text[end:cut])
            end = cut
    pieces.append(text[end:])
    return "\u034f".join(pieces)


def _is_mark(char: str) -> bool:
    """Whether nothing in the character's decomposition stops the reordering of marks."""
    return all(map(unicodedata.combining, unicodedata.normalize("NFKD", char)))


class Lowercase:
    """Lower case, by Unicode's rules."""

    def __call__(self, text: str) -> str:
        return text.lower()

    def batch(self, texts: Sequence[str]) -> list[str]:
        return [text.lower() for text in texts]


class CollapseWhitespace:
    """Every run of white space becomes one space; none stays at the ends."""

    def __call__(self, text: str) -> str:
        # The space is the only white space that Unicode calls printable: so most texts need no more than a look.
        if text.isprintable() and "  " not in text and text[:1] != " " != text[-1:]:
            return text
        return " ".join(text.split())

    def batch(self, texts: Sequence[str]) -> list[str]:
        return [self(text) for text in texts]


# A tag ends at the first '>' outside quotes; when its quotes do not pair up, at the first '>'.
# Each attempt stops at the next '<', so all attempts together read the text at most a few times.
_TAG = re.compile(r"""<[a-zA-Z/!?](?:[^<>"']++|"[^"<]*+"|'[^'<]*+')*+>|<[a-zA-Z/!?][^<>]*+>""")
_ENTITY = re.compile(r"&[#\w]\w{0,31};?")
_RAW_OPEN = re.compile(r"<(script|style)\b[^<>]*+>", re.IGNORECASE)
_RAW_CLOSE = {name: re.compile(rf"</{name}\b[^<>]*+>", re.IGNORECASE) for name in ("script", "style")}


class StripHTML:
    """Removes tags, comments, scripts and style sheets, each leaving a space, and resolves entities (``&amp;``)."""

    def __call__(self, text: str) -> str:
        if "<" in text:
            text = _TAG.sub(" ", _cut_raw(_cut_comments(text)))
        if "&" in text:
            # html.unescape gets one entity at a time: on a whole text it meets numbers too long for int().
            text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
        return text

    def batch(self, texts: Sequence[str]) -> list[str]:
        return [self(text) if "<" in text or "&" in text else text for text in texts]


def _cut_comments(text: str) -> str:
    """Cut comments; one that is not closed stays, and ends the search."""
    pieces, end = [], 0
    while (start := text.find("<!--", end)) >= 0:
        close = text.find("-->", start + 4)
        if close < 0:
            break
        pieces.append(text[end:start])
        end = close + 3
    return " ".join([*pieces, text[end:]]) if pieces else text


def _cut_raw(text: str) -> str:
    """Cut elements whose content is no text; one that is not closed loses only its tag."""
    pieces, end, searched = [], 0, 0
    unclosed: set[str] = set()  # searching for the same missing end again and again would be quadratic
    while opened := _RAW_OPEN.search(text, searched):
        name = opened[1].lower()
        closed = None if name in unclosed else _RAW_CLOSE[name].search(text, opened.end())
        if closed is None:
            unclosed.add(name)
            if len(unclosed) == len(_RAW_CLOSE):
                break
            searched = opened.end()
            continue
        pieces.append(text[end : opened.start()])
        end = searched = closed.end()
    return " ".join([*pieces, text[end:]]) if pieces else text


def _may_hold_url(text: str) -> bool:
    """Look for what every address holds, in a tenth of the pattern's time; one character is found the fastest."""
    if ":" in text and "://" in text:
        return True
    # no other letter has the lower case w
    return "." in text and ("w." in text or "W." in text) and "www." in text.lower()


class MaskURLs:
    """Replaces ``http://``, ``https://``, ``ftp://`` and ``www.`` addresses, leaving the sentence's punctuation."""

    # An attempt fails only where nothing but punctuation follows up to the next white space, so no other starts there.
    _pattern = re.compile(r"\b(?:https?://|ftp://|www\.)[^\s<>\"]*[^\s<>\".,;:!?'()\[\]{}]", re.IGNORECASE)

    def __init__(self, mask: str = "<url>") -> None:
        self._mask = _literal(mask)

    def __call__(self, text: str) -> str:
        return self._pattern.sub(self._mask, text) if _may_hold_url(text) else text

    def batch(self, texts: Sequence[str]) -> list[str]:
        return [self(text) for text in texts]


class MaskEmails:
    """Replaces e-mail addresses."""

    # The look-behind lets an attempt start only where a local part does, so attempts do not read the same text again.
    _pattern = re.compile(r"(?<![\w.+%-])[\w.+%-]++@[\w-]++(?:\.[\w-]++)++")
    # What every address holds, from its @ on: handles (@ann) have it not, and a search for one character is fast.
    _part = re.compile(r"@(?<=[\w.+%-]@)[\w-]++\.[\w-]")

    def __init__(self, mask: str = "<email>") -> None:
        self._mask = _literal(mask)

    def __call__(self, text: str) -> str:
        return self._pattern.sub(self._mask, text) if "@" in text and self._part.search(text) else text

    def batch(self, texts: Sequence[str]) -> list[str]:
        return [self(text) if "@" in text else text for text in texts]


class MaskNumbers:
    """Replaces numbers (``7``, ``3.14``, ``1,000``) that are not part of a word (``b2b``, ``1st``)."""

    # A match always takes the letters that follow too: giving up there would read "1.1.1.1…a" again from each dot.
    # The digit stands before the look-behind because a search is fast for a set of characters, but not for a condition.
    _number = r"\d(?<!\w\d)\d*+(?:[.,]\d++)*+(\w*+)"
    _any, _ascii = re.compile(_number), re.compile(_number, re.ASCII)

    def __init__(self, mask: str = "<number>") -> None:
        _literal(mask)
        self._mask = mask

    def __call__(self, text: str) -> str:
        pattern = self._ascii if text.isascii() else self._any
        return pattern.sub(lambda match: match[0] if match[1] else self._mask, text)

    def batch(self, texts: Sequence[str]) -> list[str]:
        return [self(text) for text in texts]


def _literal(mask: object) -> str:
    """Return the mask as the template of a substitution."""
    if not isinstance(mask, str):
        raise ValueError("mask must be a string")
    return mask.replace("\\", r"\\")

"""Finds e-mail addresses: RFC 5321's dotted form with a domain of several labels, in any script that uses spaces."""

from __future__ import annotations

import re

from sortgate_privacy.plain import WORD, Span

_LABEL = f"[{WORD}]++(?:-++[{WORD}]++)*+"
# Quotes, hyphens and the like before the first letter are the sentence's. An attempt starts only where no character of
# a local part stands before, and gives nothing back: all attempts together read the text once.
_ADDRESS = re.compile(rf"(?<![{WORD}_.+%&'-])[_.+%&'-]*+([{WORD}][{WORD}_.+%&'-]*+)@({_LABEL}(?:\.{_LABEL})++)")
# "ann (at) example (dot) org", as people write who fear harvesters.
_SPELLED_OUT = re.compile(
    rf"(?<![{WORD}_.+%-])[{WORD}][{WORD}_.+%-]*+ ?[(\[]at[)\]] ?{_LABEL}"
    rf"(?: ?[(\[](?:dot|punkt|point)[)\]] ?{_LABEL}|\.{_LABEL})++",
    re.IGNORECASE,
)


def find_emails(text: str) -> list[Span]:
    """Return where the addresses are. ``3@1.50``, whose last label is no domain's, is none."""
    found: list[Span] = []
    if "@" in text:
        found += ((match.start(1), match.end()) for match in _ADDRESS.finditer(text) if _is_top_level(match[2]))
    if "at)" in text or "at]" in text:
        found += (match.span() for match in _SPELLED_OUT.finditer(text))
        found.sort()
    return found


def _is_top_level(domain: str) -> bool:
    label = domain.rpartition(".")[2]
    return len(label) > 1 and label[0].isalpha()

"""Finds IP addresses, judged by the standard library's ``ipaddress``; port, prefix length and brackets stay."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from sortgate_privacy.plain import WORD, Span, last_cue

_DOTTED = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}\.")  # looking for a digit first is fast
_V4 = re.compile(rf"(?<![{WORD}_.])[0-9]{{1,3}}(?:\.[0-9]{{1,3}}){{3}}(?![{WORD}_]|-[A-Za-z]|\.[0-9])")
# A run of what an address is made of. It starts where none of that stands before, or after a word's colon ("ip:::1").
_V6 = re.compile(rf"(?:(?<![{WORD}_:.])|(?<=[G-Zg-z]:))[0-9A-Fa-f:.]++(?:%[0-9A-Za-z]++)?(?![{WORD}_])")
_LONGEST_V6 = 45  # the text form with an embedded IPv4 address, RFC 4291 section 2.2

# Four numbers with dots between them are a version as often as an address: the last such word before them decides.
_CUES = re.compile(
    r"(?P<version>(?<![A-Za-z])(?:versions?|ver|v|releases?|build|firmware|revision|rev|driver|kernel|section|chapter"
    r"|clause)(?![A-Za-z])|§)"
    r"|(?P<address>(?<![A-Za-z])(?:ips?|ipv4|address(?:es)?|hosts?|servers?|ping|dns|gateway|subnet|client|router|node)"
    r"(?![A-Za-z]))",
    re.IGNORECASE,
)


def find_ips(text: str) -> list[Span]:
    """Return where the addresses are."""
    found: list[Span] = []
    if text.count(":") > 1:
        found += (span for match in _V6.finditer(text) if (span := _v6(match)))
    if _DOTTED.search(text):
        inside = [(start, end) for start, end in found if "." in text[start:end]]
        found += (
            match.span()
            for match in _V4.finditer(text)
            if _is_v4(match[0])
            and last_cue(_CUES, text, match.start()) != "version"
            and not any(start <= match.start() < end for start, end in inside)
        )
        found.sort()
    return found


def _is_v4(text: str) -> bool:
    try:
        IPv4Address(text)
    except AddressValueError:
        return False
    return True


def _v6(match: re.Match[str]) -> Span | None:
    """Return the address's place without the sentence's full stop or colon.

    An address without any digit (``::``, ``bad::face``) is taken for the name of something in a program.
    """
    address = match[0].rstrip(".")
    if address.endswith(":") and not address.endswith("::"):
        address = address[:-1]
    if len(address) > _LONGEST_V6 or address.count(":") < 2 or not any(map(str.isdecimal, address)):
        return None
    try:
        IPv6Address(address)
    except AddressValueError:
        return None
    return match.start(), match.start() + len(address)

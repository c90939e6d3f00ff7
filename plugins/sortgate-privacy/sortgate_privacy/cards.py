"""Finds card numbers (ISO/IEC 7812): the first digits of a network that issues them, its length, Luhn's check digit."""

from __future__ import annotations

import re

from sortgate_privacy.plain import WORD, Span, last_cue

# As printed on cards: 4-4-4-4, with up to three more digits on some, 4-6-5 (American Express) and 4-6-4 (Diners Club),
# with one and the same sign between them; or in one piece.
_NUMBER = re.compile(
    rf"(?<![{WORD}_])(?<![{WORD}]-)(?:"
    r"[0-9]{4}([ .-])[0-9]{4}\1[0-9]{4}\1[0-9]{4}(?:\1[0-9]{1,3})?+"
    r"|[0-9]{4}([ .-])[0-9]{6}\2[0-9]{4,5}"
    r"|[0-9]{14,19}"
    r")(?![0-9])"
)

# Looking for a digit first is fast, and most texts do not hold fourteen of them in a row.
_ENOUGH = re.compile(r"[0-9](?:[ .-]?[0-9]){13}")

# First digits and lengths of the networks whose cards are in use. Without them one number in ten would pass for a card.
_NETWORK = re.compile(
    r"4(?:.{15}|.{18})"  # Visa
    r"|5[1-5].{14}|2(?:22[1-9]|2[3-9].|[3-6]..|7[01].|720).{12}"  # Mastercard
    r"|3[47].{13}"  # American Express
    r"|(?:6011|64[4-9].|65..).{12,15}"  # Discover
    r"|3(?:0[0-5].|095|6..|[89]..).{10,15}"  # Diners Club
    r"|35(?:2[89]|[3-8].).{12,15}"  # JCB
    r"|62.{14,17}"  # UnionPay
    r"|(?:50(?:18|20|38)|5893|6304|6759|676[1-3]).{12,15}"  # Maestro
    r"|220[0-4].{12,15}"  # Mir
    r"|(?:60|81|82).{14}|508.{13}"  # RuPay
)

# A number in one piece is no card number where the word before it calls it something else.
_CUES = re.compile(
    r"(?P<other>(?<![A-Za-z])(?:order|invoice|tracking|parcel|shipment|imei|isbn"
    r"|serial|ticket|transaction|reference|ref|case|sku)(?![A-Za-z])(?=[^0-9]*\Z))"
    r"|(?P<card>(?<![A-Za-z])(?:cards?|visa|mastercard|amex|credit|debit|pan|karte|carte|tarjeta)(?![A-Za-z]))",
    re.IGNORECASE,
)

_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def find_cards(text: str) -> list[Span]:
    """Return where the card numbers are."""
    if not _ENOUGH.search(text):
        return []
    found: list[Span] = []
    position = 0
    while match := _NUMBER.search(text, position):
        span = _card(match)
        position = match.start() + 1  # what is none may hide one that begins at its second group
        if span:
            found.append(span)
            position = span[1]
    return found


def _card(match: re.Match[str]) -> Span | None:
    number = match[0]
    if number.isdecimal() and last_cue(_CUES, match.string, match.start()) == "other":
        return None
    if _is_card(number):
        return match.span()
    # A fifth group may be something else: a security code, say.
    shorter = number[:19]
    return (match.start(), match.start() + 19) if match[1] and len(number) > 19 and _is_card(shorter) else None


def _is_card(number: str) -> bool:
    digits = re.sub("[^0-9]", "", number)
    return bool(_NETWORK.fullmatch(digits)) and _luhn(digits) % 10 == 0


def _luhn(digits: str) -> int:
    """Return the sum of ISO/IEC 7812-1 annex B: every second digit from the right doubled, and its digits added."""
    values = [int(digit) for digit in reversed(digits)]
    return sum(values[::2]) + sum(_DOUBLED[value] for value in values[1::2])

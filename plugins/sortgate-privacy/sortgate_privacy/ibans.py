"""Finds IBANs (ISO 13616): a country's code, its length, and check digits modulo 97."""

from __future__ import annotations

import re
from functools import cache

from sortgate_privacy.plain import WORD, Span

# Characters of each country's IBAN, as SWIFT's IBAN registry lists them (release 99).
_COUNTRIES = {
    15: "NO", 16: "BE", 18: "DK FI FK FO GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU MN XK",
    21: "CH HR LI LV", 22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "LY PT ST", 26: "IS TR", 27: "BI DJ FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HN HU LB NI PL SV", 29: "BR EG PS QA UA", 30: "JO KW MU YE", 31: "MT SC", 32: "LC",
    33: "RU",
}  # fmt: skip
_LENGTHS = {country: length for length, names in _COUNTRIES.items() for country in names.split()}
# Looking for the check digits first is fast, since most texts hold few digits.
_CHECK_DIGITS = re.compile(r"[0-9]{2}(?:(?<=([A-Za-z]{2})[0-9]{2})|(?<=([A-Za-z]{2})[ .-][0-9]{2}))")
_WORD_BEFORE = re.compile(rf"[{WORD}_]")


def find_ibans(text: str) -> list[Span]:
    """Return where the IBANs are, in any case, in groups of any size."""
    found: list[Span] = []
    done = 0
    for match in _CHECK_DIGITS.finditer(text):
        country = match[match.lastindex or 0].upper()
        start = match.start(match.lastindex or 0)
        if country in _LENGTHS and start >= done and not (start and _WORD_BEFORE.match(text, start - 1)):
            whole = _whole(_LENGTHS[country]).match(text, start)
            if whole and _is_iban(re.sub("[^0-9A-Za-z]", "", whole[0])):
                done = whole.end()
                found.append((start, done))
    return found


@cache
def _whole(length: int) -> re.Pattern[str]:
    """Compile the pattern of so many letters and digits, with at most one sign between two."""
    return re.compile(rf"[0-9A-Za-z](?:[ .-]?[0-9A-Za-z]){{{length - 1}}}(?![{WORD}_])")


def _is_iban(text: str) -> bool:
    """Say whether the check digits are right: letters count as 10 to 35, the first four characters as the last.

    A tax number ("DE123456789") with the words after it may have the length, too; an account number is mostly digits.
    """
    return (
        sum(map(str.isdecimal, text)) * 2 >= len(text)
        and int("".join(str(int(char, 36)) for char in text[4:] + text[:4])) % 97 == 1
    )

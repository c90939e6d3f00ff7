"""Finds phone numbers: what is written like one, or stands after a word that announces one.

A run of digits alone says little, so what decides is its form: a plus sign and a country's code (ITU-T E.164), a trunk
zero, an area code in brackets, the North American 3-3-4; without any of these, the word before it.
"""

from __future__ import annotations

import re

from sortgate_privacy.plain import WORD, Span, last_cue

# Groups of digits with a few signs between them; "(0)" and "(030)" are groups too. A run begins where no word, amount
# or code goes on ("b12", "$12", "INV-12"), and takes all groups that follow, so the text is read once.
_GROUP = r"(?:\(\+?[0-9]{1,5}\)|[0-9]++)"
_RUN = re.compile(
    rf"(?:(?<![{WORD}_])\+|(?<![{WORD}_$€£¥#+])(?<![{WORD})][-/_+])(?<![0-9]:)){_GROUP}"
    rf"(?:[ ./-]{{1,3}}{_GROUP}|(?<=\)){_GROUP}|(?=\(){_GROUP})*+"
)
# Looking for a digit first is fast, and most texts do not hold seven of them near each other.
_ENOUGH = re.compile(r"[0-9](?:[ ()./+-]{0,5}+[0-9]){6}")
_GROUPS = re.compile(rf"\+?{_GROUP}")
_MOST_GROUPS = 8
_EXTENSION = re.compile(
    r"[ ,;]{0,2}(?:ext(?:ension|n)?\.?|x|durchwahl|dw|poste|anexo)[ .:]{0,2}[0-9]{1,5}(?![0-9])", re.I
)
# What shows that the last group, if short, belongs to a time, a decimal number or an amount.
_GOES_ON = re.compile(r"[:,'][0-9]|[ ]?[%€$£¥]")

# Dates, decimal numbers, cards (with a wrong digit, or this finder would not see them), North American social security
# numbers, UUIDs.
_OTHER = re.compile(
    r"[0-9]{1,2}([./-])[0-9]{1,2}\1(?:[0-9]{4}|[0-9]{2}(?!\1?[0-9]))|[0-9]{1,2} [0-9]{1,2} (?:19|20)[0-9]{2}(?![0-9])"
    r"|(?:19|20)[0-9]{2}[./-][0-9]{1,2}[./-][0-9]{1,2}(?![0-9])"
    r"|[0-9]{4}([ .-])[0-9]{4}\2[0-9]{4}(?:\2[0-9]{1,4})+|[1-9][0-9]{3}([ .-])[0-9]{6}\3[0-9]{4,5}(?![0-9])"
    r"|0\.[0-9]{4,}|[0-9]{3}-[0-9]{2}-[0-9]{4}(?![0-9])|[0-9]{8}-[0-9]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"
)
_INTERNATIONAL = re.compile(r"\(?\+[ ]?\(?[1-9]")
_DIALLED = re.compile(r"00[ ./-]?\(?[1-9]")
_AREA = re.compile(r"\([0-9]{2,5}\)[ ./-]{0,3}[0-9]{2,}")
_TRUNK = re.compile(r"0[1-9][0-9]*[ ./(-]|0[1-9][0-9]{7,9}\Z")
_NORTH_AMERICAN = re.compile(
    r"(?:1[ .-])?(?:[2-9][0-9]{2}([.-])[2-9][0-9]{2}\1|\([2-9][0-9]{2}\)[ .-]?[2-9][0-9]{2}[ .-]"
    r"|[2-9][0-9]{2} [2-9][0-9]{2}[ -])[0-9]{4}"
)

_CUES = re.compile(
    r"(?P<phone>(?<![A-Za-z])(?:tele?(?:phone|fon)?|phone|call(?:s|ed|ing)?|dial|mobile?|mob|cell|fax|sms|text|txt"
    r"|ring|whatsapp|signal|contact|reach|reached|hotline|helpline|landline"
    r"|(?:my|his|her|your)(?: new| old)? (?:number|no|nr)"
    r"|handy|rufnummer|anruf|anrufen|t[eé]l(?:[eé]phone|[eé]fono)?|portable|m[oó]vil|celular|llamar?|appeler?"
    r")(?![A-Za-z])|телефон|тел|电话|電話|手机|手機|携帯|联系|聯絡|전화)"
    r"|(?P<other>(?:(?<![A-Za-z])(?:order|invoice|tracking|parcel|shipment|ticket|transaction|reference|ref|case|sku|isbn"
    r"|imei|serial|id|account|policy|version|article|item|model|part|po|code|pin|bestellnummer|rechnung|kundennummer)"
    r"(?![A-Za-z])|#)(?=[^0-9]*\Z))",
    re.IGNORECASE,
)


def find_phones(text: str) -> list[Span]:
    """Return where the phone numbers are, extensions included."""
    if not _ENOUGH.search(text):
        return []
    found: list[Span] = []
    for run in _RUN.finditer(text):
        if run.end() - run.start() > 6:  # no phone number is shorter than seven digits here
            found += _in_run(text, run)
    return found


def _in_run(text: str, run: re.Match[str]) -> list[Span]:
    """Return the phone numbers in a run of groups: from the left, each as long as it can be, dates passed over."""
    groups = [match.span() for match in _GROUPS.finditer(text, run.start(), run.end())]
    if groups[-1][1] - groups[-1][0] <= 3 and _GOES_ON.match(text, run.end()):
        groups.pop()
    cue = last_cue(_CUES, text, run.start())
    found: list[Span] = []
    done = run.start()
    for first, (start, _) in enumerate(groups):
        if start < done:
            continue
        if other := _OTHER.match(text, start):
            done = other.end()
            continue
        for _, end in reversed(groups[first : first + _MOST_GROUPS]):
            if _is_phone(text[start:end], cue):
                extension = _EXTENSION.match(text, end)
                done = extension.end() if extension else end
                found.append((start, done))
                break
    return found


def _is_phone(number: str, cue: str | None) -> bool:
    count = sum(map(str.isdecimal, number))
    if not 7 <= count <= 15:  # E.164 allows fifteen
        return False
    if _INTERNATIONAL.match(number):
        return count > 7
    if cue == "other":
        return False
    if _AREA.match(number) or _NORTH_AMERICAN.fullmatch(number):
        return count <= 12
    if _DIALLED.match(number) and count > 9:
        return True
    if _TRUNK.match(number) and 9 <= count <= 12:
        return True
    return cue == "phone" and count <= 13

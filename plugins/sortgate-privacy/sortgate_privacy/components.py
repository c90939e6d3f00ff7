"""The normalizers. Each looks for its kinds in the text's plain spelling, and cuts what it found out of the text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from sortgate_privacy.cards import find_cards
from sortgate_privacy.emails import find_emails
from sortgate_privacy.ibans import find_ibans
from sortgate_privacy.ips import find_ips
from sortgate_privacy.phones import find_phones
from sortgate_privacy.plain import Span, plain

#: Kind to what finds it, in the order in which they look. What one has found, the later ones do not see: an address
#: may hold a number, and the digits of an IBAN or a card read like a phone number, which is looked for last.
FINDERS: dict[str, Callable[[str], list[Span]]] = {
    "email": find_emails,
    "ip": find_ips,
    "iban": find_ibans,
    "card": find_cards,
    "phone": find_phones,
}

#: The built-in tokenizer keeps ``<email>`` whole, but would make three tokens of ``<phone>``: the rest are plain words.
MASKS = {
    "email": "<email>",
    "ip": "maskedip",
    "iban": "maskediban",
    "card": "maskedcard",
    "phone": "maskedphone",
}

_NEEDED = re.compile(r"[0-9@)\]]")  # one of these is in all that is looked for, and none in most sentences
_TAKEN = "\x00"  # stands for a character that is part of something found; no finder takes it for part of anything


class MaskAll:
    """Replaces e-mail and IP addresses, IBANs, card and phone numbers, or those of them that ``kinds`` names."""

    def __init__(self, kinds: Sequence[str] | None = None, masks: Mapping[str, str] | None = None) -> None:
        chosen = list(FINDERS) if kinds is None else kinds
        if not isinstance(chosen, list | tuple) or not chosen or any(kind not in [*FINDERS] for kind in chosen):
            raise ValueError(f"kinds must be a list of some of: {', '.join(FINDERS)}")
        if not isinstance(masks or {}, Mapping) or set(masks or {}) - set(chosen):
            raise ValueError(f"masks must map kinds to masks; the kinds are: {', '.join(chosen)}")
        self._masks = {kind: _mask(f"masks.{kind}", {**MASKS, **(masks or {})}[kind]) for kind in chosen}
        self._finders = [(kind, find) for kind, find in FINDERS.items() if kind in chosen]

    def __call__(self, text: str) -> str:
        found = self.find(text)
        return _replace(text, [(start, end, self._masks[kind]) for start, end, kind in found]) if found else text

    def find(self, text: str) -> list[tuple[int, int, str]]:
        """Return start, end and kind of all that would be replaced, from left to right."""
        spelled = plain(text)
        if not _NEEDED.search(spelled):
            return []
        found: list[tuple[int, int, str]] = []
        for kind, find in self._finders:
            if spans := find(spelled):
                found += [(start, end, kind) for start, end in spans]
                spelled = _replace(spelled, [(start, end, _TAKEN * (end - start)) for start, end in spans])
        return sorted(found)


class _MaskOne(MaskAll):
    """What the components for one kind have in common."""

    kind: str

    def __init__(self, mask: str | None = None) -> None:
        super().__init__([self.kind], {self.kind: _mask("mask", MASKS[self.kind] if mask is None else mask)})


class MaskEmails(_MaskOne):
    """Replaces e-mail addresses."""

    kind = "email"


class MaskPhones(_MaskOne):
    """Replaces phone numbers: international, with a trunk zero, North American, or after a word such as ``call``."""

    kind = "phone"


class MaskCards(_MaskOne):
    """Replaces card numbers: of a known network, with a right check digit (Luhn)."""

    kind = "card"


class MaskIBANs(_MaskOne):
    """Replaces IBANs: of their country's length, with right check digits (ISO 13616)."""

    kind = "iban"


class MaskIPs(_MaskOne):
    """Replaces IP addresses, version 4 and 6, that are valid and no software's version."""

    kind = "ip"


def _mask(key: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key} must be a string that is not empty")
    return value


def _replace(text: str, replacements: Sequence[tuple[int, int, str]]) -> str:
    """Return the text with each ``(start, end, new)`` carried out; sorted, none over another."""
    pieces, done = [], 0
    for start, end, new in replacements:
        pieces += [text[done:start], new]
        done = end
    return "".join([*pieces, text[done:]])

"""Made-up sentences with planted items and with decoys, to measure what is found: the same for the same seed.

Planted are numbers and addresses as people write them in some twenty countries, a few of them in ways that no rule here
knows. Decoys are what looks like them and is none: dates, prices, order numbers, versions, numbers with a wrong digit.
"""

from __future__ import annotations

import ipaddress
import random
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sortgate_privacy.ibans import _LENGTHS as IBAN_LENGTHS

#: Pattern of a number: ``#`` any digit, ``N`` 2 to 9, ``@`` a letter; all else is itself.
PHONES = (
    "+44 20 #### ####", "020 N### ####", "07700 9#####", "0N##N ######", "+44 (0)7### ######", "00447#########",
    "(N##) N##-####", "N##-N##-####", "N##.N##.####", "1-8##-N##-####", "+1 N## N## ####", "N## N## ####",
    "+1N##N######", "+49 30 N######", "030/N######", "0171-N######", "(089) N## ## ##", "+49 (0)40 N###-##",
    "0171 N## ## ##", "06 ## ## ## ##", "+33 6 ## ## ## ##", "06########", "06.##.##.##.##", "+31 6 ########",
    "06-########", "+34 6## ### ###", "+39 06 #### ####", "+91 9#### #####", "0412 ### ###", "(02) 9### ####",
    "03-N###-####", "090-####-####", "+86 138 #### ####", "+81 90-####-####", "(11) 9####-####", "+55 11 9####-####",
    "+41 44 ### ## ##", "0N##N ###### ext. 1##", "(N##) N##-#### x##", "+7 9## ###-##-##", "0049-30-N######",
    "+353 87 ### ####",
)  # fmt: skip
#: Numbers without a form of their own; most of them stand after a word that says what they are.
BARE_PHONES = ("N##N######", "6## ### ###", "138########", "9#### #####", "## ## ## ##", "5## ### ###")
CARDS = (
    "4### #### #### ###", "4##############", "51## #### #### ###", "2221-####-####-###", "55##-####-####-###",
    "37## ###### ####", "34############", "6011 #### #### ###", "36## ###### ###", "3530###########",
    "62## #### #### #### ##", "4###-####-####-###",
)  # fmt: skip
EMAILS = (
    "{a}.{b}@example.com", "{a}@{b}.co.uk", "{a}{n}@mail.{b}.org", "{a}+{b}@example.net", "{A}.{B}@Example.COM",
    "{a}_{b}@web.de", "{a}-{b}@sub.{b}-shop.io", "o'{b}@example.ie", "{n}@qq.com", "müller@{b}.de",
    "{a}@bücher.example", "{a}.{b}@{b}.museum", "{a} (at) {b} (dot) com", "{a} at {b} dot com",
)  # fmt: skip
DECOYS = (
    "##.0#.202#", "202#-0#-1#", "1#/0#/202#", "0#.0#.202# 1#:##", "202#-1#-0# 1#:##:##", "1#:##-1#:##", "0#-1# 202#",
    "$#,###.##", "€N.###,##", "N ### ### EUR", "£##.##", "##,## €", "##.#%", "#,###,###", "0.##########",
    "-0.#####, 51.####", "order 4#########", "order no. 0#########", "invoice INV-202#-0######", "PO-45########",
    "ticket #N#######", "tracking number 1Z999AA1##########", "parcel 00340########## ######", "version #.##.#",
    "version #.#.#.#", "v1.##.#.#", "firmware #.##.1##.#", "build #.#.#.##", "IMEI 35############N",
    "ISBN 978-3-16-######-0", "EAN 400##########", "17######## s", "17########### ms",
    "########-####-4###-8###-############", "3@1.50", "@{a}_{b}", "std::vector", "ab:cd:ef:##:##:##",
    "section #.#.#.#", "N-N", "201#-202#", "#####-####", "###-##-####", "LH ####", "room #.###", "serial 9#########",
    "999.###.1.1", "#.#.#.#.#", "{a}.pdf", "git@", "account ########", "SKU 12345678##", "id ##########",
    "VAT DE#########", "page ### of ###", "N## x N## x N##", "1#th", "#.###.###", "Beat::Face", "code ######",
)  # fmt: skip
#: Sentences for what has a form of its own, and for what a word must announce.
SENTENCES = (
    "Hello, {} is what I have on file.", "Please use {} from now on", "{} does not work any more!",
    "We noted {}, thank you.", "Regards, Ann ({})", "see {} and tell me", "It was {}; nothing happened since.",
    "I wrote '{}' on the form.", "给我{}谢谢", "Wir haben {} notiert.", "merci de noter {}.", "Is \"{}\" right?", "{}",
    "\u202a{}\u202c is new",
)  # fmt: skip
ANNOUNCED = (
    "Call me on {} after five.", "my new number is {}", "Tel: {}", "tel.{}", "text {} to win", "mobile {} or mail",
    "WhatsApp: {}", "我的手机号是{}请记一下", "Bitte rufen Sie an, Handy {}.", "phone={}", "teléfono {} por la tarde",
)  # fmt: skip
NAMES = ("anna", "li", "omar", "kowalski", "garcia", "smith", "sato", "okafor", "novak", "jensen", "dubois", "rossi")
#: Countries whose account numbers begin with four letters for the bank.
BANK_CODES = "AZ BG BH DO GB GE GI GT IE IQ JO KW LC LV MT MU NL PK PS QA RO SC VG"
_SPELLINGS = (
    str.maketrans(string.digits, "０１２３４５６７８９"),
    str.maketrans(string.digits, "٠١٢٣٤٥٦٧٨٩"),
    str.maketrans(" ", "\u00a0"),
    str.maketrans("-", "\u2011"),
    str.maketrans("-.+()@", "－．＋（）＠"),
)


@dataclass(frozen=True)
class Sentence:
    """A sentence, the kind that is planted in it (None for a decoy), and where."""

    text: str
    kind: str | None
    start: int
    end: int


def make_corpus(size: int, seed: int) -> Iterator[Sentence]:
    """Make so many sentences; half of them hold an item of one of the five kinds, half a decoy."""
    dice = random.Random(seed)  # noqa: S311 - nothing secret hangs on it
    makers: list[tuple[str | None, Callable[[random.Random], tuple[str, bool]]]] = [
        ("email", _email), ("phone", _phone), ("card", _card), ("iban", _iban), ("ip", _ip),
    ]  # fmt: skip
    for number in range(size):
        kind, make = makers[number // 2 % len(makers)] if number % 2 else (None, _decoy)
        item, announced = make(dice)
        before, _, after = dice.choice(ANNOUNCED if announced else SENTENCES).partition("{}")
        if dice.random() < 0.1:
            item = item.translate(dice.choice(_SPELLINGS))
        if dice.random() < 0.3:
            before, item, after = before.lower(), item.lower(), after.lower()
        yield Sentence(before + item + after, kind, len(before), len(before) + len(item))


def _filled(pattern: str, dice: random.Random) -> str:
    chars = {"#": string.digits, "N": "23456789"}
    a, b = dice.sample(NAMES, 2)
    text = (
        pattern.format(a=a, b=b, A=a.title(), B=b.title(), n=dice.randrange(10, 10**9)) if "{" in pattern else pattern
    )
    return "".join(dice.choice(chars[char]) if char in chars else char for char in text)


def _email(dice: random.Random) -> tuple[str, bool]:
    return _filled(dice.choice(EMAILS), dice), False


def _phone(dice: random.Random) -> tuple[str, bool]:
    if dice.random() < 0.2:
        return _filled(dice.choice(BARE_PHONES), dice), dice.random() < 0.8
    return _filled(dice.choice(PHONES), dice), dice.random() < 0.5


def _card(dice: random.Random) -> tuple[str, bool]:
    number = _filled(dice.choice(CARDS), dice)
    return next(number + digit for digit in string.digits if _passes_luhn(number + digit)), False


def _iban(dice: random.Random) -> tuple[str, bool]:
    country = dice.choice(sorted(IBAN_LENGTHS))
    size = IBAN_LENGTHS[country] - 4
    account = "".join(dice.choices(string.ascii_uppercase, k=4)) if country in BANK_CODES else ""
    account += "".join(dice.choices(string.digits * 8 + "AKM", k=size - len(account)))
    remainder = int("".join(str(int(char, 36)) for char in f"{account}{country}00")) % 97
    iban = f"{country}{98 - remainder:02}{account}"
    sign = dice.choice(("", " ", " ", "-"))
    return sign.join(iban[at : at + 4] for at in range(0, len(iban), 4)), False


def _ip(dice: random.Random) -> tuple[str, bool]:
    if dice.random() < 0.6:
        return str(ipaddress.IPv4Address(dice.randrange(1 << 24, 224 << 24))), False
    groups = dice.choice((2, 4, 8))  # as many as are not zero
    address = (0x2001_0DB8 << 96) | dice.getrandbits(16 * (groups - 2) + 12)
    made = ipaddress.IPv6Address(address)
    return dice.choice((made.compressed, made.compressed, made.exploded)), False


def _decoy(dice: random.Random) -> tuple[str, bool]:
    """Return something that looks like one of the kinds; one in five is a card number or an IBAN with a wrong digit."""
    if dice.random() < 0.8:
        return _filled(dice.choice(DECOYS), dice), False
    right = dice.choice((_card, _iban))(dice)[0]
    return right[:-1] + (str((int(right[-1]) + 1) % 10) if right[-1].isdecimal() else "1"), False


def _passes_luhn(number: str) -> bool:
    digits = [int(char) for char in reversed(number) if char.isdecimal()]
    return (sum(digits[::2]) + sum(digit * 2 % 10 + digit // 5 for digit in digits[1::2])) % 10 == 0

"""Made-up texts that components are tried on: ordinary ones, the corners of Unicode, and what makes code slow."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import islice

from sortgate.demo.texts import generate

WORDS_A_TEXT = 40

#: What the text is → the text. A component meets all of these in texts of strangers.
UNICODE = {
    "an emoji": "great 😀 service",
    "emoji joined by U+200D": "we 👩‍👩‍👧‍👦 moved 🏳️‍🌈 house 👍🏽",
    "flags and keycaps": "🇩🇪🇯🇵 press 1️⃣ or #️⃣",
    "combining marks": "re\u0301sume\u0301 Z\u0351\u036f\u0343a\u0334\u0322lgo",
    "composed and decomposed accents": "é e\u0301 Å \u212b ﬁ ½",
    "a mark alone": "\u0301\u0327 alone",
    "right-to-left text": "שלום עולם, مرحبا بالعالم 123 abc",
    "direction marks": "\u202eabc\u202c \u2067def\u2069 \u200eghi\u200f",
    "U+FDFA, which NFKC makes 18 characters of": "\ufdfa \ufdfa\ufdfa",
    "NUL and other control characters": "a\x00b\x01c\x1b[31m\x7f\x85d",
    "line separators": "one\u2028two\u2029three\x0bfour\x0cfive\r\nsix\x1cseven",
    "invisible characters": "zero\u200bwidth\ufeff non\u00adbreaking\u2060joiner",
    "letters whose case changes their number": "Straße İstanbul ŉ ǰ ΐ ﬃ ſ K",
    "Han, Kana and Hangul": "退货请求 ありがとう 감사합니다 カタカナ",
    "Thai and Devanagari": "ขอบคุณครับ धन्यवाद क्षत्रिय",
    "characters beyond the first plane": "𝕳𝖊𝖑𝖑𝖔 𐍈 𠜎 🂡 \U0010ffff",
    "unassigned and private characters": "\u0378 \ue000 \ufffe \U000e0001",
    "replacement characters": "caf\ufffd \ufffd\ufffd",
    "digits of other scripts": "١٢٣ १२३ ①②③ Ⅻ ½",
    "signs that patterns and templates read": r"\1 \g<0> $1 %s {0} {x} [a-z]* ^$ \N{DASH} &amp; &#0; <b>",
}
#: Tokens may hold lone surrogates, which texts may not.
SURROGATE_TOKENS = [["lone", "\ud83d", "\udc00\ud800", "text"], ["\ud83d\ude00"]]

BLANK = ["", " ", "   ", "\t\r\n", "\u00a0\u2003\u3000", "\u2028\u2029", "\u200b", "\ufeff", "\x00"]

ORDINARY = [
    "I can't log in since Monday, please help!",
    "Invoice 4711 of 2024-05-01 is wrong: 1,299.00 EUR instead of 129.90 EUR.",
    "Write to anna.smith@example.com or call +49 30 1234567 (ext. 12).",
    "See https://example.com/a?b=c&d=%20e#f and www.example.org.",
    "URGENT!!! WHERE IS MY ORDER #12-34/B???",
    "<p>Dear team,<br/>it &amp; that don&#39;t work</p>",
    "Der Drucker im 2. Stock druckt nicht; bitte um Rückruf.",
    "no",
    "to be or not to be that is the question to be",
]

#: What is repeated to fill 8 and 64 KiB. Each has been met as the worst case of some pattern or loop.
REPEATED = [
    "the quick brown fox, 12.5 km away. ",
    *("a", "a ", "1 ", "1.", "a.", "..a", "<a", "a@", "@a", "(", "()", "&#1;", "-", "a-", " '", "+1 (", "$1", ".", "#"),
    *("http://", "www.", "\n", " ", "\x00", "é", "\u0301", "\ufdfa", "א ", "あ", "😀", "\u200d😀"),
]


def forty_words(count: int, seed: int = 7) -> list[str]:
    """Return ``count`` generated texts of forty words each; the same seed gives the same texts."""

    def words() -> Iterator[str]:
        while True:
            for text, _ in generate(1_000, seed):
                yield from text.split()

    stream = words()
    return [" ".join(islice(stream, WORDS_A_TEXT)) for _ in range(count)]


@cache
def core() -> tuple[str, ...]:
    """Return the texts whose answers are compared between calls, batches, threads and processes."""
    return (*forty_words(12), *ORDINARY, *UNICODE.values(), *BLANK)


def filled(piece: str, size: int) -> str:
    """Return ``piece`` repeated to at most ``size`` bytes of UTF-8."""
    return piece * (size // len(piece.encode()))

"""Texts that look damaged or foreign: mojibake, HTML, control characters, huge ones, and what all of them repeat."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from sortgate.textconfig import TextLimits
from sortgate_training.checks.findings import MOST_EXAMPLES, Finding, Level, count_of
from sortgate_training.checks.parts import Part

#: UTF-8 read as Latin-1 or Windows-1252: é becomes Ã©, a quotation mark â€œ, an emoji ðŸ…; U+FFFD was undecodable.
_MOJIBAKE = re.compile("Ã[\u0080-\u00bf\u0192\u201a-\u2122]|Â[\u00a0-\u00bf]|â€[\u0080-\u2122]|ðŸ|ï»¿|ï¿½|\ufffd")
_HTML = re.compile(
    r"</?(?:a|b|body|br|code|div|em|font|h[1-6]|head|html|i|img|li|ol|p|pre|script|span|strong|style|table|t[dhr]|ul)"
    r"(?:\s[^<>]*)?/?>|&(?:amp|lt|gt|quot|nbsp|apos|#\d{2,5});",
    re.IGNORECASE,
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_URL = re.compile(r"https?://|\bwww\.\w", re.IGNORECASE)
_EMAIL = re.compile(r"[\w.+-]@[\w-]+\.\w")

#: Kind → pattern, what is said of it, and what to do.
PATTERNS = {
    "mojibake": (
        _MOJIBAKE,
        "with wrongly decoded characters, such as 'Ã©' for 'é'",
        "read the source as UTF-8 and export it again",
    ),
    "HTML": (
        _HTML,
        "with HTML tags or entities",
        '--set \'text.normalizers=["sortgate.nfkc.v1", "sortgate.strip_html.v1", "sortgate.lowercase.v1"]\'',
    ),
    "control characters": (
        _CONTROL,
        "with control characters",
        "remove them where the texts are exported; those from \\x80 to \\x9f are Windows-1252 read as Latin-1",
    ),
    "addresses": (
        re.compile(f"{_URL.pattern}|{_EMAIL.pattern}", re.IGNORECASE),
        "with web or e-mail addresses",
        "when it does not matter which address it is: normalizers sortgate.mask_urls.v1, sortgate.mask_emails.v1",
    ),
}
#: A smaller share of the texts is no more than a note.
RARE = 0.01
#: A prefix is constant when this share of the texts has it; shorter ones are chance.
CONSTANT_SHARE, LEAST_AFFIX, LEAST_TEXTS = 0.9, 4, 20
#: A text so many times longer than 19 in 20 others is worth a look.
VERY_LONG = 10


def matching(part: Part, kind: str) -> list[int]:
    """Return the texts in which the pattern of that kind occurs."""
    search = PATTERNS[kind][0].search
    return [row for row, text in enumerate(part.texts) if search(text)]


def find_suspicious(part: Part, limits: TextLimits, over: Sequence[int]) -> Iterator[Finding]:
    """Texts that look damaged, or are too long to be one text; ``over`` are those that the text path refuses for it."""
    for kind, (pattern, what, advice) in PATTERNS.items():
        rows = matching(part, kind)
        if rows:
            examples = [part.example(row, detail=_shown(pattern, part.texts[row])) for row in rows[:MOST_EXAMPLES]]
            level: Level = "note" if kind == "addresses" or len(rows) < RARE * len(part) else "warning"
            yield Finding(level, kind, part.name, len(rows), f"{count_of(len(rows), 'text')} {what}", advice, examples)
    if over:
        shown = over[:MOST_EXAMPLES]
        sizes = [len(part.texts[row].encode("utf-8", "replace")) for row in shown]
        yield Finding(
            "warning", "very long", part.name, len(over),
            f"{count_of(len(over), 'text is', 'texts are')} over limits.max_text_bytes ({limits.max_text_bytes:,}) "
            f"or limits.max_characters ({limits.max_characters:,})",
            "training leaves them out and serving refuses such texts; is a quote left open, or a document not cut?",
            [part.example(row, detail=f"{size:,} bytes") for row, size in zip(shown, sizes, strict=True)],
        )  # fmt: skip
    usual = part.report.characters.p95
    long = [row for row, text in enumerate(part.texts) if len(text) > VERY_LONG * usual]
    if long and not over:
        yield Finding(
            "note", "very long", part.name, len(long),
            f"{count_of(len(long), 'text is', 'texts are')} over {VERY_LONG} times as long as 95 % of the others",
            "look whether each is one text",
            [part.example(row, detail=f"{len(part.texts[row]):,} characters") for row in long[:MOST_EXAMPLES]],
        )  # fmt: skip


def find_constants(part: Part) -> Iterator[Finding]:
    """A beginning or an end that nearly all texts have, or nearly all of one label and hardly any other."""
    texts_of: dict[str, list[str]] = defaultdict(list)
    for text, labels in zip(part.texts, part.label_sets, strict=True):
        for label in labels:
            texts_of[label].append(text)
    for where, backwards in (("begin", False), ("end", True)):
        affix = common_affix(part.texts, backwards=backwards)
        if affix:
            yield Finding(
                "note", "constant", part.name, len(part),
                f"{CONSTANT_SHARE:.0%} of the texts {where} with {affix!r}",
                "it says nothing and takes up room: cut it off before training, and before serving",
            )  # fmt: skip
            continue
        for label, texts in sorted(texts_of.items()):
            affix = common_affix(texts, backwards=backwards)
            has = str.endswith if backwards else str.startswith
            if affix and sum(has(text, affix) for text in part.texts) < 1.2 * len(texts):
                yield Finding(
                    "warning", "constant", part.name, len(texts),
                    f"nearly all texts of {label!r}, and hardly any other, {where} with {affix!r}",
                    "the model will learn this mark and nothing else; cut it off unless real texts have it too",
                )  # fmt: skip


def common_affix(texts: Sequence[str], *, backwards: bool = False) -> str:
    """Return the longest beginning (or end) that nine in ten texts share, empty when there is none worth a word.

    Repeats of one text prove nothing: each distinct text counts once.
    """
    left = list(dict.fromkeys(texts))
    if len(left) < LEAST_TEXTS:
        return ""
    needed = CONSTANT_SHARE * len(left)
    affix = ""
    while True:
        at = -1 - len(affix) if backwards else len(affix)
        left = [text for text in left if len(text) > len(affix)]
        if len(left) < needed:
            break
        character, count = Counter(text[at] for text in left).most_common(1)[0]
        if count < needed:
            break
        affix = character + affix if backwards else affix + character
        left = [text for text in left if text[at] == character]
    affix = affix[:80]
    return affix if len(affix.strip()) >= LEAST_AFFIX else ""


def _shown(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    if found is None:
        return ""
    around = text[max(0, found.start() - 15) : found.end() + 15]
    return ascii(around) if _CONTROL.search(around) else " ".join(around.split())

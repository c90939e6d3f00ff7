"""Writing systems and likely languages of texts, by counting: no model and no library decides."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import cache

#: The first word of a character's Unicode name, where it is not the script's own name.
_NAMES = {"CJK": "Han", "HIRAGANA": "Kana", "KATAKANA": "Kana", "HALFWIDTH": "Kana", "FULLWIDTH": "Latin"}
#: Function words that are frequent in one language and rare in the others.
_FUNCTION_WORDS = {
    "English": "the and of is that with this was are you have it my for what to",
    "French": "le les des est dans pour une je vous pas qui sur avec et ce c'est",
    "German": "der die und das ist nicht ich ein eine mit auf für zu den dem auch",
    "Spanish": "el los las que y es por una con para lo del muy pero está como",
    "Italian": "il di che è non per della sono con gli ma una questo anche più",
    "Portuguese": "o os não que um uma é em do da para com você mas muito eu",
    "Dutch": "de het een en van ik niet dat je op zijn voor met aan er",
}
_LANGUAGES_OF: dict[str, list[str]] = {}
for _language, _words in _FUNCTION_WORDS.items():
    for _each in _words.split():
        _LANGUAGES_OF.setdefault(_each, []).append(_language)
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
#: Function words that a text needs to say something about its language.
_LEAST_WORDS = 2


def script_of(text: str) -> str | None:
    """Return the script of most of a text's letters, None for a text without letters."""
    if text.isascii():
        return "Latin" if any(map(str.isalpha, text)) else None
    counts: Counter[str] = Counter()
    for character, count in Counter(text).items():
        if (script := _script(character)) is not None:
            counts[script] += count
    if counts["Kana"]:
        counts["Kana"] += counts.pop("Han", 0)  # Japanese is written in both
    return counts.most_common(1)[0][0] if counts.total() else None


@cache
def _script(character: str) -> str | None:
    if not character.isalpha():
        return None
    first = unicodedata.name(character, "").partition(" ")[0]
    # ª and º are named for what they are, mathematical letters for their font
    return _NAMES.get(first, first.capitalize() if first not in {"", "MODIFIER", "FEMININE", "MASCULINE"} else "Latin")


def script_shares(texts: Iterable[str]) -> dict[str, float]:
    """Return each script's share of the texts, most frequent first; ``none`` are texts without letters."""
    return _shares(Counter(script_of(text) or "none" for text in texts))


def language_shares(texts: Iterable[str]) -> dict[str, float]:
    """Return each likely language's share of the texts in Latin script, most frequent first.

    ``unclear`` are texts with hardly a function word, or of a language that is not known here.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        if script_of(text) != "Latin":
            continue
        words = _WORD.findall(text.lower().replace("\u2019", "'"))
        hits = Counter(language for word in words for language in _LANGUAGES_OF.get(word, ()))
        best = hits.most_common(2)
        clear = best and best[0][1] >= _LEAST_WORDS and (len(best) == 1 or best[0][1] > best[1][1])
        counts[best[0][0] if clear else "unclear"] += 1
    return _shares(counts)


def _shares(counts: Counter[str]) -> dict[str, float]:
    total = counts.total()
    return {name: round(count / total, 4) for name, count in counts.most_common()}

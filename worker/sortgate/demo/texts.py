"""A seeded generator of support-desk texts: material for the demo where no data is given.

The texts are invented. They are made hard to tell apart the way real tickets are: greetings, signatures and order
numbers around the matter, typos, HTML crumbs, capitals and emoji, settled topics mentioned in passing, side topics,
texts that hardly say anything, and wrong labels. A good classifier reaches 90 to 96 % on them, none reaches 100 %.
"""

from __future__ import annotations

import csv
import random
import re
import sys
from collections.abc import Callable, Iterator

from sortgate.demo import phrases

#: Labels in a fixed order; the first are as frequent as the last is rare, about 3 : 1.
LABELS: tuple[str, ...] = tuple(phrases.CORE)
_WEIGHTS = tuple(3.0 - 2.0 * i / (len(LABELS) - 1) for i in range(len(LABELS)))

# Shares of texts (of words, for typos) with each kind of noise.
_WRONG_LABEL = 0.03
_VAGUE = 0.03
_SETTLED = 0.15
_SIDE_TOPIC = 0.10
_TYPO = 0.03
_SHOUT = 0.04
_EMOJI = 0.08
_CRUMBS = 0.06

_SLOT = re.compile(r"\{(\w+)\}")
_KEYS = "abcdefghijklmnopqrstuvwxyz"


def generate(n: int, seed: int) -> Iterator[tuple[str, str]]:
    """Yield ``n`` texts with their labels; the same seed gives the same texts on every platform and Python version.

    Raises:
        ValueError: ``n`` is negative.
    """
    if n < 0:
        raise ValueError(f"n={n}: cannot generate a negative number of texts")
    rng = random.Random(seed)  # noqa: S311 - not for secrets
    for _ in range(n):
        label = _pick_weighted(rng)
        text = _noise(rng, _compose(rng, label))
        yield text, (_other(rng, label) if rng.random() < _WRONG_LABEL else label)


def _pick_weighted(rng: random.Random) -> str:
    # random.choices may change between Python versions; random() and these few lines do not.
    point = rng.random() * sum(_WEIGHTS)
    for label, weight in zip(LABELS, _WEIGHTS, strict=True):
        point -= weight
        if point < 0:
            return label
    return LABELS[-1]


def _pick(rng: random.Random, items: tuple[str, ...] | str) -> str:
    return items[int(rng.random() * len(items))]


def _other(rng: random.Random, label: str) -> str:
    return _pick(rng, tuple(other for other in LABELS if other != label))


def _fill(rng: random.Random, template: str) -> str:
    def replace(match: re.Match[str]) -> str:
        slot = match.group(1)
        if slot == "n":
            return str(2 + int(rng.random() ** 3 * 900))
        if slot == "order":
            return f"{_pick(rng, ('#', '', 'A-', 'no. '))}{10_000 + int(rng.random() * 890_000)}"
        return _fill(rng, _pick(rng, phrases.SLOTS[slot]))

    return _SLOT.sub(replace, template)


def _compose(rng: random.Random, label: str) -> str:
    """Greeting, matter, details, closing and footer, each but the matter left out now and then."""
    parts = []
    if rng.random() < 0.5:
        parts.append(_pick(rng, phrases.GREETINGS) + ",")
    if rng.random() < _SETTLED:
        topic = _pick(rng, phrases.TOPICS[_other(rng, label)])
        parts.append(_pick(rng, phrases.SETTLED).replace("{topic}", topic))
    if rng.random() < _VAGUE:
        parts.append(_pick(rng, phrases.VAGUE) + ".")
    else:
        parts.append(_pick(rng, phrases.CORE[label]) + _pick(rng, (".", ".", "!", "?", "")))
        if rng.random() < 0.3:
            parts.append(_pick(rng, phrases.CORE[label]) + ".")
    parts.extend(_pick(rng, phrases.DETAILS) + "." for _ in range(int(rng.random() * 3)))
    if rng.random() < _SIDE_TOPIC:
        parts.append("by the way, " + _pick(rng, phrases.CORE[_other(rng, label)]) + ".")
    if rng.random() < 0.5:
        parts.append(_pick(rng, phrases.CLOSINGS) + _pick(rng, (",", "!", "", " {name}")))
    if rng.random() < 0.25:
        parts.append(_pick(rng, phrases.FOOTERS))
    return _fill(rng, " ".join(parts))


def _noise(rng: random.Random, text: str) -> str:
    words = [_typo(rng, word) if rng.random() < _TYPO else word for word in text.split(" ")]
    if rng.random() < _EMOJI:
        _insert(rng, words, _pick(rng, phrases.EMOJI))
    if rng.random() < _CRUMBS:
        for _ in range(1 + int(rng.random() * 3)):
            _insert(rng, words, _pick(rng, phrases.CRUMBS))
    text = " ".join(words)
    return text.upper() if rng.random() < _SHOUT else text[0].upper() + text[1:]


def _insert(rng: random.Random, words: list[str], word: str) -> None:
    words.insert(int(rng.random() * (len(words) + 1)), word)


def _typo(rng: random.Random, word: str) -> str:
    """Swap, drop, double or replace one character of a word of at least four."""
    if len(word) < 4:
        return word
    i = 1 + int(rng.random() * (len(word) - 2))
    edits: tuple[Callable[[], str], ...] = (
        lambda: word[:i] + word[i + 1] + word[i] + word[i + 2 :],
        lambda: word[:i] + word[i + 1 :],
        lambda: word[:i] + word[i] + word[i:],
        lambda: word[:i] + _pick(rng, _KEYS) + word[i + 1 :],
    )
    return edits[int(rng.random() * len(edits))]()


if __name__ == "__main__":  # python -m sortgate.demo.texts 20000 > texts.csv
    writer = csv.writer(sys.stdout)
    writer.writerow(("text", "label"))
    writer.writerows(generate(int(sys.argv[1]), seed=2))

"""The tokenizer: spaCy's rules of one language, applied to what stands between white space."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache, partial
from threading import Lock
from typing import Any

#: Characters that the rules get at a time: they take signs off both ends one by one and read the rest again each time,
#: so that their time grows with the square of the piece.
LONGEST_PIECE = 100
#: Strings that spaCy may keep (400 bytes each) before its tokenizer is made anew: it forgets none itself.
MOST_STRINGS = 50_000
#: Pieces whose tokens are remembered, and the longest of them; others come once and would only fill memory.
MOST_REMEMBERED, LONGEST_REMEMBERED = 65_536, 40


class Rules:
    """Tokens by spaCy's rules for a language, without a model: in English ``don't`` becomes ``do`` + ``n't``.

    Attributes:
        by_white_space: False for the few languages with rules for several words together (``EE. UU.``).
    """

    def __init__(self, language: str = "en") -> None:
        self._create, rules = _rules_of(language)
        self.by_white_space = not any(len(rule.split()) > 1 for rule in rules)
        self._lock = Lock()
        self._renew()
        self._remembered = lru_cache(MOST_REMEMBERED)(self._apply)

    def __call__(self, text: str) -> list[str]:
        pieces = text.split()
        if any(len(piece) > LONGEST_PIECE for piece in pieces):
            starts = [(piece, start) for piece in pieces for start in range(0, len(piece), LONGEST_PIECE)]
            pieces = [piece[start : start + LONGEST_PIECE] for piece, start in starts]
        if not self.by_white_space:
            return self._apply(" ".join(pieces))
        tokens: list[str] = []
        for piece in pieces:
            tokens += self._remembered(piece) if len(piece) <= LONGEST_REMEMBERED else self._apply(piece)
        return tokens

    def _apply(self, text: str) -> list[str]:
        with self._lock:  # spaCy adds what is new to tables that it does not guard
            if len(self._tokenizer.vocab.strings) > self._most:
                self._renew()
            return [token.text for token in self._tokenizer(text)]

    def _renew(self) -> None:
        self._tokenizer = self._create()
        self._most = len(self._tokenizer.vocab.strings) + MOST_STRINGS


def _rules_of(language: str) -> tuple[Callable[[], Any], list[str]]:
    """Return what makes a tokenizer with nothing in its memory, and the exceptions that it has rules for."""
    import spacy
    from spacy import lang
    from spacy.vocab import Vocab

    known = sorted(module.name for module in pkgutil.iter_modules(lang.__path__) if module.ispkg)
    if language not in known:
        raise ValueError(f"no rules for language {language!r}; there are: {', '.join(known)}")
    made: Any = None
    with suppress(ImportError):  # of the other library
        made = spacy.blank(language).tokenizer
    if type(made).__module__ != "spacy.tokenizer":
        raise ValueError(f"spaCy has no rules for language {language!r}: it leaves that to another library")
    create = partial(
        made.__class__,
        rules=made.rules,
        prefix_search=made.prefix_search,
        suffix_search=made.suffix_search,
        infix_finditer=made.infix_finditer,
        token_match=made.token_match,
        url_match=made.url_match,
    )
    # Tokens need none of what the language's own vocabulary computes for each of its words.
    return lambda: create(Vocab()), list(made.rules)

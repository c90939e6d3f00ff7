"""Built-in token filters (tokens to tokens)."""

from __future__ import annotations

from collections.abc import Sequence

# Function words only: negations, question words and anything that can carry a label's meaning stay in the text.
_ENGLISH = """
a about after again all also am an and any are as at be because been before being both but by can could did do does
doing during each few for from further had has have having he her here hers herself him himself his i if in into is
it its itself just me more most my myself of on once only or other our ours ourselves own same she should so some such
than that the their theirs them themselves then there these they this those through to too until very was we were
while will with would you your yours yourself yourselves
"""
_LANGUAGES = {"en": _ENGLISH.split()}


class StopWords:
    """Drops stop words, in any case: the built-in list of ``language`` (en), and ``words``."""

    def __init__(self, language: str | None = None, words: Sequence[str] = ()) -> None:
        if isinstance(words, str) or not all(isinstance(word, str) for word in words):
            raise ValueError("words must be a list of strings")
        if language is None and not words:
            raise ValueError("choose a language, or give words")
        if language is not None and language not in _LANGUAGES:
            raise ValueError(f"no stop words for language {language!r}; there are: {', '.join(_LANGUAGES)}")
        chosen = [*_LANGUAGES.get(language or "", ()), *words]
        # The usual spellings, so that filtering needs no conversion of each token.
        self._stop = frozenset(
            form for word in chosen for form in (word, word.lower(), word.upper(), word.capitalize())
        )

    def __call__(self, tokens: list[str]) -> list[str]:
        stop = self._stop
        return [token for token in tokens if token not in stop]

    def batch(self, token_lists: Sequence[list[str]]) -> list[list[str]]:
        return [self(tokens) for tokens in token_lists]

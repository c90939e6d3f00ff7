"""The filter that puts a word's lemma in its place: training looks it up in spaCy's tables, the bundle keeps the rest.

The bundle keeps what can make a difference, so that a worker needs no tables, and cannot have others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from sortgate.errors import PluginLoadError


class LookupsMissingError(PluginLoadError):
    """The tables of lemmas are not installed, or have none for the language."""


class Lemmas:
    """Replaces each token by its lemma, from spaCy's lookup tables (``was`` → ``be``) or a list of one's own."""

    def __init__(self, language: str = "en", words: Mapping[str, str] | None = None) -> None:
        if not (isinstance(language, str) and re.fullmatch("[a-z]{2,3}|", language)):
            raise ValueError("language must be a code such as 'en', or '' for none but your own words")
        if words is not None and not isinstance(words, Mapping):
            raise ValueError("words must map words to their lemmas")
        if not language and not words:
            raise ValueError("without a language there must be words")
        self._language = language
        self._words = dict(words or {})
        if not all(isinstance(lemma, str) and lemma for lemma in self._words.values()):
            raise ValueError("words: a lemma must be a string that is not empty")
        self._lemmas: dict[str, str] | None = None

    def fit(self, token_lists: Sequence[list[str]]) -> None:
        """Keep the part of the table that leads to words of the training texts, or away from one.

        What else it holds leads from one word that the vocabulary lacks to another.

        Raises:
            LookupsMissingError: there is no table.
        """
        table = {**(_table(self._language) if self._language else {}), **self._words}
        seen = {table.get(token, token) for tokens in token_lists for token in tokens}
        self._lemmas = {
            word: lemma for word, lemma in table.items() if word != lemma and (lemma in seen or word in seen)
        }

    def state(self) -> bytes:
        """Return the kept part of the table as JSON."""
        return json.dumps(self._learned(), sort_keys=True, separators=(",", ":")).encode()

    def restore(self, state: bytes) -> None:
        """Read the JSON."""
        lemmas = json.loads(state.decode())
        if not isinstance(lemmas, dict) or not all(isinstance(lemma, str) for lemma in lemmas.values()):
            raise ValueError("not a table of lemmas")
        self._lemmas = lemmas

    def __call__(self, tokens: list[str]) -> list[str]:
        lemmas = self._learned()
        return [lemmas.get(token, token) for token in tokens]

    def _learned(self) -> dict[str, str]:
        if self._lemmas is None:
            raise RuntimeError("the lemmas have not been learned yet: fit or restore them first")
        return self._lemmas


def _table(language: str) -> dict[str, str]:
    from spacy.util import load_language_data, registry

    if not registry.has("lookups", language):
        raise LookupsMissingError(
            f"spacy.lemmas.v1 finds no lemmas for language {language!r}: pip install 'sortgate-spacy[lookups]'"
        )
    files = registry.lookups.get(language)
    if "lemma_lookup" not in files:
        raise LookupsMissingError(f"spacy.lemmas.v1: language {language!r} has no table of lemmas")
    return dict(load_language_data(files["lemma_lookup"]))

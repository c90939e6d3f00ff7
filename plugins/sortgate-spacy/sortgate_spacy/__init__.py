"""spaCy's rule tokenizers, and lemmas by lookup, as components of Sortgate's text path."""

from __future__ import annotations

from sortgate.plugins import RegisterTokenizers, hookimpl
from sortgate_spacy.lemmas import Lemmas
from sortgate_spacy.rules import Rules

__all__ = ["Lemmas", "Rules", "sortgate_register_tokenizers"]


@hookimpl
def sortgate_register_tokenizers(register: RegisterTokenizers) -> None:
    """Register the tokenizer and the filter."""
    register("spacy.tokens.v1", Rules)
    register.filter("spacy.lemmas.v1", Lemmas)

"""NLTK's Treebank and Tweet tokenizers and Snowball stemming as components of Sortgate's text path."""

from __future__ import annotations

from sortgate.plugins import RegisterTokenizers, hookimpl
from sortgate_nltk.components import Snowball, Treebank, Tweet

__all__ = ["Snowball", "Treebank", "Tweet", "sortgate_register_tokenizers"]


@hookimpl
def sortgate_register_tokenizers(register: RegisterTokenizers) -> None:
    """Register two tokenizers and the stemming filter."""
    register("nltk.treebank.v1", Treebank)
    register("nltk.tweet.v1", Tweet)
    register.filter("nltk.snowball.v1", Snowball)

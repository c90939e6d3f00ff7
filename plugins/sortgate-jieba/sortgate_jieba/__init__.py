"""jieba's Chinese words as a component of Sortgate's text path."""

from __future__ import annotations

from sortgate.plugins import RegisterTokenizers, hookimpl
from sortgate_jieba.words import Words

__all__ = ["Words", "sortgate_register_tokenizers"]


@hookimpl
def sortgate_register_tokenizers(register: RegisterTokenizers) -> None:
    """Register the tokenizer."""
    register("jieba.words.v1", Words)

"""Byte-level tokenizers of HF tokenizers, asked once for each word: most of a text's words were in texts before."""

from __future__ import annotations

import os
from itertools import chain
from typing import Any

from sortgate.errors import PluginLoadError

#: Longer words come once; most words that are kept, some 20 MB, before all of them are forgotten.
LONGEST_WORD, MOST_WORDS = 32, 65_536
#: A longer text, in characters, is tokenized whole: of words that are all new, each by itself takes five times as long.
LONGEST_TEXT = 4_096


class ByWord(dict[str, list[str]]):
    """Word to its tokens; a word that is not there is tokenized.

    The byte-level pre-tokenizer (GPT-2's) splits before a space, which goes with the word that follows; of two spaces,
    the first is by itself. So where these are a text's only white space, its tokens are those of its words, one after
    the other. A lookup costs a hundredth of the library's call. Threads may share it.
    """

    def __init__(self, tokenizer: Any) -> None:
        super().__init__()
        self.tokenizer = tokenizer

    def tokens(self, text: str) -> list[str]:
        """Return the text's tokens."""
        # The space is the only white space that Unicode calls printable, and so no line feed is among these.
        if len(text) <= LONGEST_TEXT and text.isprintable() and "   " not in text and text[-2:] != "  ":
            return list(chain.from_iterable(map(self.__getitem__, text.replace(" ", "\n ").split("\n"))))
        return self._encode(text)

    def __missing__(self, word: str) -> list[str]:
        """Tokenize."""
        tokens = self._encode(word)
        if len(word) <= LONGEST_WORD:
            if len(self) >= MOST_WORDS:
                # what is frequent is back within a few texts, so no order of use need be kept
                self.clear()
            self[word] = tokens
        return tokens

    def _encode(self, text: str) -> list[str]:
        tokens: list[str] = self.tokenizer.encode(text, add_special_tokens=False).tokens
        return tokens


def import_tokenizers(name: str) -> Any:
    """Import HF tokenizers for the component of that name.

    Raises:
        PluginLoadError: it is not installed; says what to install.
    """
    # Its thread pool does not survive a fork (Celery's prefork pool); a worker wants one thread a process anyway.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        import tokenizers
    except ImportError:
        raise PluginLoadError(f'component {name} needs HF tokenizers: pip install "sortgate[subword]"') from None
    return tokenizers

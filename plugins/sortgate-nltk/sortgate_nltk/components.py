"""The components. NLTK takes seconds to import, so it is imported when one is made, not when plugins are listed."""

from __future__ import annotations

from functools import lru_cache

# Longer tokens are no words of a language; remembering their stems would only fill memory.
_LONGEST_WORD = 40


class Treebank:
    """English tokens as in the Penn Treebank: ``don't`` becomes ``do`` + ``n't``."""

    def __init__(self) -> None:
        from nltk.tokenize.treebank import TreebankWordTokenizer

        self._tokenizer = TreebankWordTokenizer()

    def __call__(self, text: str) -> list[str]:
        return list(self._tokenizer.tokenize(text))


class Tweet:
    """Tokens of tweets: handles, hashtags, emoticons, emoji and addresses stay whole."""

    def __init__(self, preserve_case: bool = True, reduce_len: bool = False, strip_handles: bool = False) -> None:
        from nltk.tokenize.casual import TweetTokenizer

        self._tokenizer = TweetTokenizer(
            preserve_case=preserve_case, reduce_len=reduce_len, strip_handles=strip_handles
        )

    def __call__(self, text: str) -> list[str]:
        return list(self._tokenizer.tokenize(text))


class Snowball:
    """Reduces each token to its stem, in lower case."""

    def __init__(self, language: str = "english") -> None:
        from nltk.stem.snowball import SnowballStemmer

        if language not in SnowballStemmer.languages:
            raise ValueError(f"no stemmer for language {language!r}; there are: {', '.join(SnowballStemmer.languages)}")
        self._stem = SnowballStemmer(language).stem
        self._remembered = lru_cache(maxsize=65_536)(self._stem)

    def __call__(self, tokens: list[str]) -> list[str]:
        return [(self._remembered if len(token) <= _LONGEST_WORD else self._stem)(token) for token in tokens]

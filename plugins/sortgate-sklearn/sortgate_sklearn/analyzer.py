"""The tokenizer: what CountVectorizer, TfidfVectorizer and HashingVectorizer take a text apart with."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence

#: scikit-learn's default: words of two and more characters, no signs.
TOKEN_PATTERN = r"(?u)\b\w\w+\b"  # noqa: S105 - no password
#: Longest n-gram; each more is as many tokens again.
LONGEST_NGRAM = 10

_ANALYZERS = ("word", "char", "char_wb")


class Analyzer:
    """Tokens as scikit-learn's text vectorizers see them: words, or characters, and their n-grams.

    Attributes:
        by_white_space: True for single words by the default pattern.
    """

    def __init__(
        self,
        analyzer: str = "word",
        ngram_range: Sequence[int] = (1, 1),
        token_pattern: str = TOKEN_PATTERN,
        stop_words: str | Sequence[str] | None = None,
        lowercase: bool = True,
        strip_accents: str | None = None,
    ) -> None:
        self._analyze = create_analyzer(analyzer, ngram_range, token_pattern, stop_words, lowercase, strip_accents)
        # "ascii" takes out the white space that is not ASCII
        single = analyzer == "word" and token_pattern == TOKEN_PATTERN and list(ngram_range) == [1, 1]
        self.by_white_space = single and strip_accents != "ascii"

    def __call__(self, text: str) -> list[str]:
        return self._analyze(text)


def create_analyzer(
    analyzer: str = "word",
    ngram_range: Sequence[int] = (1, 1),
    token_pattern: str = TOKEN_PATTERN,
    stop_words: str | Sequence[str] | None = None,
    lowercase: bool = True,
    strip_accents: str | None = None,
) -> Callable[[str], list[str]]:
    """Return scikit-learn's analyzer of these parameters, which mean what they do in ``CountVectorizer``.

    Raises:
        ValueError: one of them is not what it can be.
    """
    if analyzer not in _ANALYZERS:
        raise ValueError(f"no analyzer {analyzer!r}; there are: {', '.join(_ANALYZERS)}")
    if stop_words is not None and stop_words != "english":
        if isinstance(stop_words, str) or not all(isinstance(word, str) for word in stop_words):
            raise ValueError("stop_words must be 'english' or a list of words")
        stop_words = list(stop_words)
    if stop_words is not None and analyzer != "word":
        raise ValueError(f"the analyzer {analyzer!r} knows no words: leave stop_words out")
    if not isinstance(lowercase, bool):
        raise ValueError("lowercase must be true or false")
    if strip_accents not in (None, "ascii", "unicode"):
        raise ValueError("strip_accents must be 'ascii' or 'unicode', or left out")
    try:
        groups = re.compile(token_pattern).groups
    except (re.error, TypeError) as error:
        raise ValueError(f"token_pattern is no regular expression: {error}") from None
    if groups > 1:
        raise ValueError("token_pattern has more than one group")

    from sklearn.feature_extraction.text import CountVectorizer

    vectorizer = CountVectorizer(
        analyzer=analyzer,
        ngram_range=_ngram_range(ngram_range),
        token_pattern=token_pattern,
        stop_words=stop_words,
        lowercase=lowercase,
        strip_accents=strip_accents,
    )
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        made: Callable[[str], list[str]] = vectorizer.build_analyzer()
    if any("stop_words" in str(warning.message) for warning in said):
        raise ValueError(
            "stop_words: some would be cut or changed before they are looked for; write them as tokens are"
        )
    return made


def _ngram_range(value: object) -> tuple[int, int]:
    numbers = list(value) if isinstance(value, list | tuple) else []
    whole = all(isinstance(number, int) and not isinstance(number, bool) for number in numbers)
    if len(numbers) != 2 or not whole or not 1 <= numbers[0] <= numbers[1] <= LONGEST_NGRAM:
        raise ValueError(
            f"ngram_range must be the shortest and the longest n-gram, such as [1, 2], up to {LONGEST_NGRAM}"
        )
    return numbers[0], numbers[1]

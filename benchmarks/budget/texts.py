"""Real texts of a given number of tokens: the words of test texts, from the beginning of one on into the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

Tokenize = Callable[[str], Sequence[str]]


def texts_of(tokens: int, sources: Sequence[str], tokenizers: Sequence[Tokenize]) -> Iterator[str]:
    """Yield texts that have ``tokens`` tokens by each of ``tokenizers``; a source that gives none is passed over.

    A text begins where a source does; one that is too short goes on with the sources that follow it.
    """
    first = tokenizers[0]
    words = [[(word, len(first(word))) for word in source.split()] for source in sources]
    for start in range(len(sources)):
        taken, count = [], 0
        for word, size in (pair for source in words[start:] for pair in source):
            if count >= tokens:
                break
            taken.append(word)
            count += size
        text = " ".join(taken)
        if all(len(tokenize(text)) == tokens for tokenize in tokenizers):
            yield text

"""Learns the pieces of a Unigram language model (Kudo 2018, arXiv 1804.10959) from counted words.

Nothing here depends on an order of hashing or on threads, and probabilities are multiplied and added, never summed in
parallel: the same words give the same pieces, to the last digit.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

#: Longer words are cut, so that a word's probability stays a number above 0 and its time is bounded.
LONGEST_WORD = 24
#: Signs of different words that are learned from, the most frequent words first: some 40,000 words, and seconds.
MOST_SIGNS = 300_000
#: Pieces to begin with, times those wanted; each round keeps this share (as SentencePiece does).
_SEEDS, _KEPT = 4, 0.75
#: A piece that is expected less often than this is dropped (as SentencePiece does).
_LEAST_EXPECTED = 0.5


def learn_pieces(words: Mapping[str, int], signs: Sequence[str], size: int, longest: int) -> list[tuple[str, float]]:
    """Return at most ``size`` pieces and the logarithms of their probabilities, the most probable first.

    Args:
        words: how often each word occurs.
        signs: what words are written with; each is a piece, whether it occurs or not.
        size: at least as many as there are signs.
        longest: signs of a piece.
    """
    corpus = _chosen(words)
    single = dict.fromkeys(signs, 0.0)
    counts: dict[str, float] = {**single, **_seeds(corpus, max(0, size * _SEEDS - len(single)), longest)}
    for word, times in corpus:
        for sign in word:
            counts[sign] += times
    while True:
        for _ in range(2):
            counts = _expected(corpus, _probabilities(counts, single), longest)
            counts = {p: n for p, n in counts.items() if n >= _LEAST_EXPECTED or p in single}
        if len(counts) <= size:
            break
        counts = _pruned(counts, single, max(size, int(len(counts) * _KEPT)))
    scored = [(piece, round(math.log(p), 6)) for piece, p in _probabilities(counts, single).items()]
    return sorted(scored, key=lambda entry: (-entry[1], entry[0]))


def _chosen(words: Mapping[str, int]) -> list[tuple[str, int]]:
    """Cut long words, and keep the most frequent ones."""
    cut: Counter[str] = Counter()
    for word, times in words.items():
        for at in range(0, len(word), LONGEST_WORD):
            cut[word[at : at + LONGEST_WORD]] += times
    chosen, left = [], MOST_SIGNS
    for word, times in sorted(cut.items(), key=lambda entry: (-entry[1], entry[0])):
        left -= len(word)
        if left < 0:
            break
        chosen.append((word, times))
    return chosen


def _seeds(corpus: Sequence[tuple[str, int]], most: int, longest: int) -> dict[str, float]:
    """Return the substrings that cover the most signs, of those that occur twice and in no longer one as often."""
    found: dict[str, int] = {}
    open_ = [(word, times, list(range(len(word)))) for word, times in corpus]
    before: Counter[str] = Counter()
    for length in range(1, longest + 1):
        level: Counter[str] = Counter()
        for word, times, starts in open_:
            for start in starts:
                level[word[start : start + length]] += times
        level = Counter({piece: times for piece, times in level.items() if times > 1})
        for piece, times in level.items():
            for shorter in (piece[:-1], piece[1:]):
                if before[shorter] == times:
                    found.pop(shorter, None)
            if length > 1:
                found[piece] = times
        # a longer piece can only start where this one was found twice
        open_ = [
            (word, times, kept)
            for word, times, starts in open_
            if (kept := [at for at in starts if at + length < len(word) and word[at : at + length] in level])
        ]
        before = level
    ordered = sorted(found.items(), key=lambda entry: (-entry[1] * len(entry[0]), entry[0]))
    return {piece: float(times) for piece, times in ordered[:most]}


def _probabilities(counts: Mapping[str, float], single: Mapping[str, float]) -> dict[str, float]:
    """Return the pieces' probabilities; a sign that does not occur has that of a tenth of an occurrence."""
    smoothed = {piece: max(times, 0.1) if piece in single else times for piece, times in counts.items()}
    total = math.fsum(smoothed.values())
    return {piece: times / total for piece, times in smoothed.items()}


def _expected(corpus: Sequence[tuple[str, int]], probabilities: Mapping[str, float], longest: int) -> dict[str, float]:
    """Return how often each piece is expected over all ways to write the words (forward and backward probabilities)."""
    expected = dict.fromkeys(probabilities, 0.0)
    for word, times in corpus:
        edges = _edges(word, probabilities, longest)
        ahead = [1.0] + [0.0] * len(word)
        for start, end, _, p in edges:
            ahead[end] += ahead[start] * p
        behind = [0.0] * len(word) + [times / ahead[-1]]
        for start, end, piece, p in reversed(edges):
            share = p * behind[end]
            behind[start] += share
            expected[piece] += ahead[start] * share
    return expected


def _edges(word: str, probabilities: Mapping[str, float], longest: int) -> list[tuple[int, int, str, float]]:
    """Return the pieces in a word: where each starts and ends, in the order of their starts."""
    size = len(word)
    return [
        (start, end, piece, probabilities[piece])
        for start in range(size)
        for end in range(start + 1, min(size, start + longest) + 1)
        if (piece := word[start:end]) in probabilities
    ]


def _pruned(counts: Mapping[str, float], single: Mapping[str, float], size: int) -> dict[str, float]:
    """Keep the signs, and the pieces without which the words would lose the most probability."""
    probabilities = _probabilities(counts, single)
    losses = [
        (-times * math.log(probabilities[piece] / _without(piece, probabilities)), piece)
        for piece, times in counts.items()
        if piece not in single
    ]
    losses.sort()
    kept = single.keys() | {piece for _, piece in losses[: size - len(single)]}
    return {piece: times for piece, times in counts.items() if piece in kept}


def _without(piece: str, probabilities: Mapping[str, float]) -> float:
    """Return the probability of the best way to write a piece with others."""
    best = [1.0] + [0.0] * len(piece)
    for start, end, other, p in _edges(piece, probabilities, len(piece)):
        if other != piece and best[start] * p > best[end]:
            best[end] = best[start] * p
    return best[-1]

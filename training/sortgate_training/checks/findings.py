"""What a check comes to: figures of each part, findings in words with examples, and settings that fit the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numpy as np

#: Examples of a finding, and the characters shown of each.
MOST_EXAMPLES, EXAMPLE_CHARACTERS = 3, 120

#: ``error`` stops training; a ``warning`` costs accuracy or makes figures untrue; a ``note`` is good to know.
Level = Literal["error", "warning", "note"]


class Example(msgspec.Struct, frozen=True):
    """One place in the data; ``rows`` count from 1 without the header, as in the messages of ``train``."""

    part: str
    rows: list[int]
    text: str
    detail: str = ""


class Finding(msgspec.Struct, frozen=True):
    """One thing found: ``count`` texts (or labels), a sentence, what to do about it, and where it can be seen."""

    level: Level
    topic: str
    part: str
    count: int
    what: str
    advice: str = ""
    examples: list[Example] = []


class Suggestion(msgspec.Struct, frozen=True):
    """A setting that fits these texts better than the default."""

    key: str
    value: Any
    reason: str


class Spread(msgspec.Struct, frozen=True):
    """Quantiles of a length."""

    median: int
    p95: int
    p99: int
    longest: int

    @classmethod
    def of(cls, lengths: Sequence[int]) -> Spread:
        """Return the quantiles, each the length of a text that is there; zeros for no lengths."""
        if not len(lengths):
            return cls(0, 0, 0, 0)
        median, p95, p99 = np.quantile(np.asarray(lengths), (0.5, 0.95, 0.99), method="higher").tolist()
        return cls(int(median), int(p95), int(p99), int(max(lengths)))


class SetFigures(msgspec.Struct, frozen=True):
    """Sets of labels.

    Attributes:
        cardinality: labels of a text, on average (Tsoumakas & Katakis 2007).
        distinct: different sets.
        without: texts with an empty set.
        sizes: number of labels → number of texts that have so many.
    """

    cardinality: float
    distinct: int
    without: int
    sizes: dict[int, int]


class PartReport(msgspec.Struct):
    """Figures of one part; ``cut`` texts have more than ``limits.max_tokens`` tokens.

    Attributes:
        columns: names in the file, all of them; numbers where the file has no header.
        rows: in the file; of ``texts`` both text and label are there.
        tokens: of the default text path, or of the configured one.
        labels: texts of each label.
        sets: where a text may have several labels.
        unknown_tokens: share of the tokens that the vocabulary of the training texts lacks.
        scripts: share of the texts that are mostly in a Unicode script, most frequent first.
    """

    part: str
    file: str
    columns: list[str] = []
    text_column: str = ""
    label_column: str = ""
    rows: int = 0
    texts: int = 0
    labels: dict[str, int] = {}
    sets: SetFigures | None = None
    words: Spread = Spread(0, 0, 0, 0)
    characters: Spread = Spread(0, 0, 0, 0)
    tokens: Spread = Spread(0, 0, 0, 0)
    cut: int = 0
    unknown_tokens: float | None = None
    scripts: dict[str, float] = {}
    languages: dict[str, float] = {}


class DataReport(msgspec.Struct):
    """All of it."""

    trainable: bool
    max_tokens: int
    parts: list[PartReport] = []
    findings: list[Finding] = []
    suggestions: list[Suggestion] = []


def shorten(text: str) -> str:
    """Return the beginning of a text on one line, as an example shows it."""
    line = " ".join(text[: 4 * EXAMPLE_CHARACTERS].split())
    return line if len(line) <= EXAMPLE_CHARACTERS else f"{line[: EXAMPLE_CHARACTERS - 2]} …"


def count_of(number: int, singular: str, plural: str | None = None) -> str:
    """Return ``1 text``, ``2,000 texts``."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"

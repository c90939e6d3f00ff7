"""The text path in a configuration (specs), in a manifest (records), and the limits of a bundle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from sortgate.plugins.components import ComponentRecord, ComponentSpec, Kind

Specs = list[ComponentSpec | str]


class TextConfig(msgspec.Struct, forbid_unknown_fields=True):
    """The text path as a configuration chooses it: names, or ``{name, params}``. Holds specs once it is made."""

    normalizers: Specs = msgspec.field(default_factory=lambda: ["sortgate.nfkc.v1", "sortgate.lowercase.v1"])
    tokenizer: ComponentSpec | str = "sortgate.words.v1"
    filters: Specs = []
    postprocessors: Specs = []

    def __post_init__(self) -> None:
        self.normalizers = [as_spec(entry) for entry in self.normalizers]
        self.tokenizer = as_spec(self.tokenizer)
        self.filters = [as_spec(entry) for entry in self.filters]
        self.postprocessors = [as_spec(entry) for entry in self.postprocessors]

    def by_kind(self) -> dict[Kind, list[ComponentSpec]]:
        """Return the specs under their kinds."""
        return {
            "normalizer": [as_spec(entry) for entry in self.normalizers],
            "tokenizer": [as_spec(self.tokenizer)],
            "filter": [as_spec(entry) for entry in self.filters],
            "postprocessor": [as_spec(entry) for entry in self.postprocessors],
        }


class TextLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a bundle takes, and what it reads of a text that has more tokens.

    Attributes:
        max_text_bytes: of the text as it comes, in UTF-8.
        max_characters: of the text after each normalizer.
        max_tokens: the rest is cut off.
        truncation: what is kept of a longer text, ``max_tokens`` in any case: its head, or its head and its tail,
            joined as if nothing had stood between.
        head_share: of ``max_tokens`` that ``head_tail`` keeps of the head, 0 to 1. A quarter is what Sun et al. 2019
            (arXiv 1905.05583, 5.3.1) found best for BERT: 128 tokens of the head, 382 of the tail.
    """

    max_text_bytes: int = 65_536
    max_characters: int = 65_536
    max_tokens: int = 400
    truncation: Literal["head", "head_tail"] = "head"
    head_share: float = 0.25

    def __post_init__(self) -> None:
        for name in ("max_text_bytes", "max_characters", "max_tokens"):
            if (value := getattr(self, name)) < 1:
                raise ValueError(f"{name} must be a whole number from 1 on, not {value}")
        if not 0.0 <= self.head_share <= 1.0:
            raise ValueError(f"head_share must be a number from 0 to 1, not {self.head_share}")

    @property
    def head(self) -> int:
        """How many tokens are kept of the head of a longer text; of its tail, the rest of ``max_tokens``."""
        return self.max_tokens if self.truncation == "head" else round(self.head_share * self.max_tokens)

    @property
    def kept(self) -> str:
        """What is kept of a longer text, in words: ``first 100 and last 300 tokens``."""
        parts = {"first": self.head, "last": self.max_tokens - self.head}
        named = " and ".join(f"{name} {count:,}" for name, count in parts.items() if count)
        return f"{named} token{'s' if self.max_tokens > 1 else ''}"

    def cut(self, ids: bytes, size: int) -> bytes:
        """Return what is kept of a text with more than ``max_tokens`` ids of ``size`` bytes each."""
        head = self.head
        return ids[: head * size] + ids[len(ids) - (self.max_tokens - head) * size :]


class TextRecords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The text path as a manifest records it."""

    normalizers: list[ComponentRecord]
    tokenizer: ComponentRecord
    filters: list[ComponentRecord]
    postprocessors: list[ComponentRecord]

    def __iter__(self) -> Iterator[ComponentRecord]:
        """All records, in the path's order."""
        for records in self.by_kind().values():
            yield from records

    def by_kind(self) -> dict[Kind, list[ComponentRecord]]:
        """Return the records under their kinds."""
        return {
            "normalizer": self.normalizers,
            "tokenizer": [self.tokenizer],
            "filter": self.filters,
            "postprocessor": self.postprocessors,
        }


def as_spec(entry: ComponentSpec | str) -> ComponentSpec:
    """Return the spec that an entry of a configuration means."""
    return ComponentSpec(entry) if isinstance(entry, str) else entry

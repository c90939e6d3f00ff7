"""The text path in a configuration (specs), in a manifest (records), and the limits of a bundle."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec.structs import astuple

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
    """What a bundle takes.

    Attributes:
        max_text_bytes: of the text as it comes, in UTF-8.
        max_characters: of the text after each normalizer.
        max_tokens: the rest is cut off, the head kept.
    """

    max_text_bytes: int = 65_536
    max_characters: int = 65_536
    max_tokens: int = 400

    def __post_init__(self) -> None:
        for name, value in zip(self.__struct_fields__, astuple(self), strict=True):
            if value < 1:
                raise ValueError(f"{name} must be a whole number from 1 on, not {value}")


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

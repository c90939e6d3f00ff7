"""Token ids of a text, packed as NumPy and ONNX Runtime take them."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import msgspec

#: Of one id, packed.
ID_BYTES = 4


def pack_ids(ids: Sequence[int]) -> bytes:
    """Return ids as int32 of this machine's byte order."""
    return array("i", ids).tobytes()


class Encoded(msgspec.Struct, frozen=True, gc=False):
    """One text's token ids (at least one), and how many tokens were cut off.

    Attributes:
        packed: the ids as int32 in this machine's byte order, which NumPy reads as they are.
        truncated: tokens that are not among them.
        text: the normalized text, where a label post-processor wants it.
    """

    packed: bytes
    truncated: int = 0
    text: str | None = None

    @classmethod
    def of(cls, ids: list[int], truncated: int = 0) -> Encoded:
        """Make one from a list of ids."""
        return cls(pack_ids(ids), truncated)

    @property
    def ids(self) -> list[int]:
        """The ids."""
        return memoryview(self.packed).cast("i").tolist()

    def __len__(self) -> int:
        """How many ids there are."""
        return len(self.packed) // ID_BYTES

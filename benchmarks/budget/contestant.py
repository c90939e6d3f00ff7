"""What is compared: texts in, labels out, and the three stages of that, which can be timed one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

#: A batch of texts.
Texts = list[str]


@dataclass(frozen=True)
class Contestant:
    """One way to label texts.

    Attributes:
        name: of the row.
        network: units of a direction and width of a token's vector.
        precision: ``float32`` or ``int8``.
        label: the whole way, a batch of texts to an answer each.
        encode: the first stage, a batch of texts to ids.
        logits: the second, ids to logits, with what is needed to put ids into arrays.
        answer: the third, ids and logits to answers.
        plain: whether the row may be the yardstick's.
    """

    name: str
    network: str
    precision: str
    label: Callable[[Texts], Sequence[Any]]
    encode: Callable[[Texts], Any]
    logits: Callable[[Any], Any]
    answer: Callable[[Any, Any], Sequence[Any]]
    plain: bool = False

    def staged(self, texts: Texts) -> Sequence[Any]:
        """Return what ``label`` does."""
        encoded = self.encode(texts)
        return self.answer(encoded, self.logits(encoded))

"""What a component is: the protocols a plugin implements, and the records that name one in a config or a manifest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

from sortgate.types import Prediction

#: The four places of the text path that a component can take.
Kind = Literal["normalizer", "tokenizer", "filter", "postprocessor"]
KINDS: tuple[Kind, ...] = ("normalizer", "tokenizer", "filter", "postprocessor")

#: Makes a component from the parameters of the configuration or manifest.
Factory = Callable[..., Any]


class Normalizer(Protocol):
    """Text to text. May also have ``batch(texts) -> list[str]``, which must say the same as one call a text."""

    def __call__(self, text: str, /) -> str:
        """Return the normalized text."""


class Tokenizer(Protocol):
    """Text to tokens. May also have ``batch(texts) -> list[list[str]]``.

    A tokenizer whose attribute ``by_white_space`` is True says that a text's tokens are those of its pieces between
    white space (``str.split()``), one piece after the other. Where no token filter follows, it is then called for each
    new piece, and not for each text.
    """

    def __call__(self, text: str, /) -> list[str]:
        """Return the text's tokens, in order."""


class TokenFilter(Protocol):
    """Tokens to tokens. May also have ``batch(token_lists) -> list[list[str]]``."""

    def __call__(self, tokens: list[str], /) -> list[str]:
        """Return the tokens that go on, in order; must not change ``tokens``."""


class Postprocessor(Protocol):
    """Prediction to prediction. May also have ``batch(predictions) -> list[Prediction]``.

    A post-processor whose attribute ``wants_text`` is True is called with the normalized text as a second argument,
    and its batch form with the list of them. One whose attribute ``pure`` is False may answer the same prediction
    otherwise another time (it looks at a clock, say): golden texts are compared up to the first such one.
    """

    def __call__(self, prediction: Prediction, /) -> Prediction:
        """Return the prediction that goes on; never sees one whose ``error`` is set."""


@runtime_checkable
class Learned(Protocol):
    """A normalizer, tokenizer or filter that learns from the training texts and keeps what it learned in the bundle."""

    def fit(self, texts: Sequence[Any], /) -> None:
        """Learn from the training part: normalized texts, or token lists for a filter."""

    def state(self) -> bytes:
        """Return what was learned, as bytes that hold data and no code (never pickle)."""

    def restore(self, state: bytes, /) -> None:
        """Become what ``state()`` described; raise on bytes that it did not write."""


@runtime_checkable
class LearnedFromLabels(Protocol):
    """A post-processor that learns from the labelled training texts and keeps what it learned in the bundle."""

    def fit_labelled(self, texts: Sequence[str], label_sets: Sequence[Sequence[str]], /) -> None:
        """Learn from the training part: normalized texts, and the labels of each."""

    def state(self) -> bytes:
        """As :class:`Learned`."""

    def restore(self, state: bytes, /) -> None:
        """As :class:`Learned`."""


def keeps_state(component: Any) -> bool:
    """Return whether a component keeps what it learned in the bundle."""
    return isinstance(component, Learned | LearnedFromLabels)


class ComponentSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A component as a configuration chooses it."""

    name: str
    params: dict[str, Any] = {}


class ComponentRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A component as a manifest records it.

    Attributes:
        name: registered name, ``owner.thing.v1``.
        params: keyword arguments of the factory, exactly as configured.
        distribution: what provided it; ``file:<name>.py`` for a plugin of one file.
        version: that distribution's version; for a file, the first 12 hex digits of its digest.
        state: name of the bundle's file with the learned state, if any.
        digest: SHA-256 (hex) of the plugin's source: of a one-file plugin's bytes, of a distribution's package as
            :mod:`sortgate.plugins.digest` takes it; None for what is built in, and for distributions in bundles of
            format 3 or less.
    """

    name: str
    params: dict[str, Any]
    distribution: str
    version: str
    state: str | None = None
    digest: str | None = None


class RegisteredComponent(msgspec.Struct, frozen=True):
    """A component as a listing shows it.

    Attributes:
        origin: the plugin module, or the file's path.
        doc: first line of the factory's docstring.
        params: parameter name to its default as source text; ``"required"`` when it has none.
        documentation: the whole docstring.
        digest: SHA-256 of the plugin's source, None for what is built in.
        compatible: versions of the distribution whose bundles this one answers alike, as it says; None for its own.
    """

    kind: Kind
    name: str
    distribution: str
    version: str
    origin: str
    doc: str
    params: dict[str, str]
    documentation: str = ""
    digest: str | None = None
    compatible: str | None = None

"""The text path, one and the same in training and serving: texts → tokens → ids, and predictions → post-processed ones.

A text that fails never takes its neighbours along: it gets a :class:`TextError` in its place.
Neither errors nor logs ever hold a text.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from sortgate.components.steps import (
    PREDICTION,
    TEXT,
    TOKENS,
    Form,
    Step,
    apply,
    learn,
    learn_from_labels,
    learned_state,
)
from sortgate.encoded import ID_BYTES, Encoded, pack_ids
from sortgate.errors import FOREIGN, ComponentError, EmptyTextError, TextError, TextTooLongError
from sortgate.pieces import Pieces
from sortgate.plugins.components import ComponentRecord, ComponentSpec, Kind, Learned, LearnedFromLabels, keeps_state
from sortgate.plugins.registry import Registry
from sortgate.textconfig import TextConfig, TextLimits, TextRecords
from sortgate.types import Prediction, PredictionError
from sortgate.vocabulary import Vocabulary

__all__ = ["TextConfig", "TextLimits", "TextPath", "TextRecords", "state_file"]

#: Texts whose tokens are looked at together for the vocabulary.
_FIT_TEXTS = 1_000


class TextPath:
    """Runs a bundle's components over texts, in batches where a component has a batch form.

    Attributes:
        steps: all of them, in the path's order, each with what it has done; the vocabulary's time counts for a
            tokenizer that is called for pieces of texts.
        wants_text: a label post-processor wants the normalized text.
    """

    def __init__(
        self,
        normalizers: Sequence[Step | tuple[str, Any]],
        tokenizer: Step | tuple[str, Any],
        filters: Sequence[Step | tuple[str, Any]] = (),
        postprocessors: Sequence[Step | tuple[str, Any]] = (),
        vocabulary: Vocabulary | None = None,
        limits: TextLimits | None = None,
    ) -> None:
        self.normalizers = list(map(_as_step, normalizers))
        self.tokenizer = _as_step(tokenizer)
        self.filters = list(map(_as_step, filters))
        self.postprocessors = list(map(_as_step, postprocessors))
        self.steps = [step for _, _, step in self._steps()]
        self.wants_text = any(_wants_text(step) for step in self.postprocessors)
        self.vocabulary = vocabulary
        self.limits = limits or TextLimits()
        self._specs: dict[Kind, list[ComponentSpec]] | None = None
        self._pieces: Pieces | None = None

    @classmethod
    def create(cls, config: TextConfig, registry: Registry, limits: TextLimits | None = None) -> TextPath:
        """Make the path a configuration chooses; until ``fit`` it has no vocabulary and has learned nothing.

        Raises:
            PluginError: a component is unknown or refuses its parameters.
        """
        specs = config.by_kind()
        made = {
            kind: [_step(kind, spec.name, registry.create(kind, spec), registry) for spec in chosen]
            for kind, chosen in specs.items()
        }
        return cls._assemble(specs, made, None, limits)

    @classmethod
    def restore(
        cls,
        records: TextRecords,
        states: Mapping[str, bytes],
        vocabulary: Vocabulary,
        limits: TextLimits,
        registry: Registry,
    ) -> TextPath:
        """Make the path a manifest recorded; ``states`` holds the bundle's state files by name.

        Raises:
            PluginError: see :meth:`Registry.restore`.
        """
        specs: dict[Kind, list[ComponentSpec]] = {}
        made: dict[Kind, list[Step]] = {}
        for kind, chosen in records.by_kind().items():
            specs[kind] = [ComponentSpec(record.name, record.params) for record in chosen]
            restored = (registry.restore(kind, each, states.get(each.state) if each.state else None) for each in chosen)
            made[kind] = [
                _step(kind, record.name, component, registry)
                for record, component in zip(chosen, restored, strict=True)
            ]
        return cls._assemble(specs, made, vocabulary, limits)

    @classmethod
    def _assemble(
        cls,
        specs: dict[Kind, list[ComponentSpec]],
        made: dict[Kind, list[Step]],
        vocabulary: Vocabulary | None,
        limits: TextLimits | None,
    ) -> TextPath:
        path = cls(made["normalizer"], made["tokenizer"][0], made["filter"], made["postprocessor"], vocabulary, limits)
        path._specs = specs
        return path

    def work(self) -> list[tuple[float, int]]:
        """Return seconds and failures of each component so far, for :meth:`work_since`."""
        return [(step.tally.seconds, step.tally.failures) for step in self.steps]

    def work_since(self, before: Sequence[tuple[float, int]]) -> list[tuple[str, str, float, int]]:
        """Return name and plugin of each component, its seconds and its failures since :meth:`work` was called."""
        return [
            (step.name, step.plugin, step.tally.seconds - seconds, step.tally.failures - failures)
            for step, (seconds, failures) in zip(self.steps, before, strict=True)
        ]

    def _steps(self) -> Iterable[tuple[Kind, int, Step]]:
        for index, step in enumerate(self.normalizers):
            yield "normalizer", index, step
        yield "tokenizer", 0, self.tokenizer
        for index, step in enumerate(self.filters):
            yield "filter", index, step
        for index, step in enumerate(self.postprocessors):
            yield "postprocessor", index, step

    def records(self, registry: Registry) -> TextRecords:
        """Return what the manifest says of the path's components.

        Raises:
            ValueError: the path was made from bare components, whose parameters nobody knows.
        """
        if self._specs is None:
            raise ValueError("a text path made from bare components cannot be recorded; use create or restore")
        made: dict[Kind, list[ComponentRecord]] = {"normalizer": [], "tokenizer": [], "filter": [], "postprocessor": []}
        for kind, index, step in self._steps():
            state = state_file(kind, index) if keeps_state(step.component) else None
            made[kind].append(registry.record(kind, self._specs[kind][index], state))
        return TextRecords(made["normalizer"], made["tokenizer"][0], made["filter"], made["postprocessor"])

    def states(self, before_postprocessors: int = 0) -> dict[str, bytes]:
        """Return the learned components' states by the name of their file in the bundle.

        ``before_postprocessors`` says how many label post-processors are to be put before those of this path.

        Raises:
            PluginError: a component cannot write its state.
        """
        return {
            state_file(kind, index + before_postprocessors * (kind == "postprocessor")): learned_state(step)
            for kind, index, step in self._steps()
            if keeps_state(step.component)
        }

    def fit(self, texts: Sequence[str], *, min_count: int = 2, max_size: int = 50_000) -> None:
        """Fit the learned components in order, each on what those before it make of ``texts``, then the vocabulary.

        Texts that fail are left out. ``min_count`` and ``max_size`` as in :meth:`Vocabulary.build`.

        Raises:
            PluginError: a component's ``fit`` failed.
        """
        # all tokens of all texts at once would be most of a training's memory; but who learns wants to see all
        learning = any(isinstance(step.component, Learned) for step in self.steps)
        size = max(1, len(texts)) if learning else _FIT_TEXTS
        self.vocabulary = Vocabulary.build(
            (
                tokens
                for first in range(0, len(texts), size)
                for tokens in self._tokenize(self._normalize(texts[first : first + size], fit=True), fit=True)
                if not isinstance(tokens, TextError)
            ),
            min_count=min_count,
            max_size=max_size,
        )

    def fit_labelled(self, texts: Sequence[str], label_sets: Sequence[Sequence[str]]) -> None:
        """Fit the post-processors that learn from labels, on normalized texts; texts that fail are left out.

        Raises:
            PluginError: a component's ``fit_labelled`` failed.
        """
        learning = [step for step in self.postprocessors if isinstance(step.component, LearnedFromLabels)]
        if not learning:
            return
        pairs = [
            (text, labels)
            for text, labels in zip(self._normalize(texts), label_sets, strict=True)
            if not isinstance(text, TextError)
        ]
        for step in learning:
            learn_from_labels(step, [text for text, _ in pairs], [labels for _, labels in pairs])

    def tokenize(self, texts: Sequence[str]) -> list[list[str] | TextError]:
        """Normalize, tokenize and filter; all tokens, not cut. At least one token, or an error, a text."""
        return self._tokenize(self._normalize(texts))

    def encode(self, texts: Sequence[str]) -> list[Encoded | TextError]:
        """Return each text's ids, or why it has none; in order.

        Raises:
            ValueError: the path has no vocabulary yet.
        """
        if self.vocabulary is None:
            raise ValueError("the text path has no vocabulary: call fit, or restore one from a bundle")
        results = self._normalize(texts)
        normalized = list(results) if self.wants_text else None
        if not self.filters and getattr(self.tokenizer.component, "by_white_space", False):
            self._encode_pieces(results)
        served = any(isinstance(item, Encoded) for item in results)
        # what is left is the texts of a tokenizer that must see them whole, or that could not make tokens of one
        whole = [index for index, text in enumerate(results) if isinstance(text, str)]
        for index, tokens in zip(whole, self._tokenize([results[index] for index in whole]), strict=True):
            known = isinstance(tokens, TextError)
            results[index] = tokens if known else self._kept(pack_ids(self.vocabulary.encode(tokens)))
        if served:  # whatever it failed on, it has not failed on all
            self.tokenizer.tally.streak = 0
        if normalized is not None:
            for index, item in enumerate(results):
                if isinstance(item, Encoded):
                    results[index] = Encoded(item.packed, item.truncated, normalized[index])
        return results

    def _encode_pieces(self, results: list[Any]) -> None:
        """Replace texts by their ids where each piece between white space gives tokens of its own."""
        started = time.perf_counter()
        vocabulary = cast("Vocabulary", self.vocabulary)
        if self._pieces is None or self._pieces.vocabulary is not vocabulary:
            self._pieces = Pieces(self.tokenizer.component, vocabulary)
        packed_ids, join = self._pieces.__getitem__, b"".join
        most = self.limits.max_tokens * ID_BYTES
        for index, text in enumerate(results):
            if isinstance(text, str):
                try:
                    packed = join(map(packed_ids, text.split()))
                except FOREIGN:  # the text is tokenized whole, which says what is wrong with it
                    packed = b""
                if packed:
                    results[index] = Encoded(packed) if len(packed) <= most else self._kept(packed)
        self.tokenizer.tally.seconds += time.perf_counter() - started

    def _kept(self, packed: bytes) -> Encoded:
        """Return what is kept of a text's ids."""
        more = len(packed) // ID_BYTES - self.limits.max_tokens
        return Encoded(self.limits.cut(packed, ID_BYTES), more) if more > 0 else Encoded(packed)

    def postprocess(
        self, predictions: Sequence[Prediction], encoded: Sequence[Encoded] | None = None, *, repeatable: bool = False
    ) -> list[Prediction]:
        """Run the label post-processors; predictions with an error pass unchanged, a failure stays with its text.

        Args:
            predictions: of the model.
            encoded: the texts they are of, as :meth:`encode` returned them; needed where ``wants_text``.
            repeatable: stop before the first post-processor that may answer otherwise another time.

        Raises:
            ValueError: a post-processor wants the texts, and there are none.
        """
        if not self.postprocessors:
            return list(predictions)
        results: list[Any] = list(predictions)
        if self.wants_text and encoded is None:
            raise ValueError("a label post-processor of this path wants the texts: give what encode returned")
        texts = [item.text for item in encoded] if self.wants_text and encoded is not None else None
        for step in self.postprocessors:
            if repeatable and not getattr(step.component, "pure", True):
                break
            beside = texts if _wants_text(step) else None
            apply(step, results, PREDICTION, skip=_has_failed, beside=beside)
        return [
            Prediction(None, error=describe(result), truncated=old.truncated)
            if isinstance(result, ComponentError)
            else result
            for result, old in zip(results, predictions, strict=True)
        ]

    def _normalize(self, texts: Sequence[str], *, fit: bool = False) -> list[Any]:
        """Return normalized texts, with something in them, or errors."""
        most = self.limits.max_text_bytes
        results: list[Any] = [
            text if type(text) is str and text.isascii() and len(text) <= most else self._check(text) for text in texts
        ]
        limit = self.limits.max_characters
        for step in self.normalizers:
            self._advance(step, results, TEXT, fit)
            for index, text in enumerate(results):
                if type(text) is str and len(text) > limit:
                    results[index] = TextTooLongError(
                        f"{len(text)} characters after {step.name}, {limit} are allowed (max_characters)"
                    )
        for index, text in enumerate(results):
            if isinstance(text, str) and (not text or text.isspace()):
                results[index] = EmptyTextError("nothing is left of the text after normalizing")
        return results

    def _tokenize(self, texts: Sequence[Any], *, fit: bool = False) -> list[Any]:
        """Return tokens, at least one, or errors, those among ``texts`` too."""
        results = list(texts)
        for step in (self.tokenizer, *self.filters):
            self._advance(step, results, TOKENS, fit)
        for index, tokens in enumerate(results):
            if not tokens:
                results[index] = EmptyTextError("the text has no tokens")
        return results

    def _advance(self, step: Step, results: list[Any], form: Form, fit: bool) -> None:
        if fit and isinstance(step.component, Learned):
            learn(step, [item for item in results if not isinstance(item, TextError)])
        apply(step, results, form)

    def _check(self, text: object) -> str | TextError:
        """Return the text itself when it may enter the path."""
        if not isinstance(text, str):
            return TextError(f"a text must be a string, not {type(text).__name__}")
        try:
            size = len(text) if text.isascii() else len(text.encode())
        except UnicodeEncodeError:
            return TextError("the text holds lone surrogates: it is not valid Unicode")
        if size > self.limits.max_text_bytes:
            return TextTooLongError(f"{size} bytes, {self.limits.max_text_bytes} are allowed (max_text_bytes)")
        return text


def state_file(kind: Kind, index: int) -> str:
    """Return the name, inside a bundle, of a learned component's state."""
    return f"state/{kind}-{index}.bin"


def describe(error: TextError) -> PredictionError:
    """Return what a prediction says of a text that failed."""
    if isinstance(error, ComponentError):
        return PredictionError(error.code, str(error), error.component, error.kind or None, error.plugin or None)
    return PredictionError(error.code, str(error))


def _as_step(step: Step | tuple[str, Any]) -> Step:
    return step if isinstance(step, Step) else Step(*step)


def _step(kind: Kind, name: str, component: Any, registry: Registry) -> Step:
    source = registry.origin(name)
    return Step(name, component, kind, "" if source is None else source.release)


def _wants_text(step: Step) -> bool:
    return bool(getattr(step.component, "wants_text", False))


def _has_failed(item: Any) -> bool:
    return isinstance(item, TextError) or item.error is not None

"""One component under check: how it is made, taught, called, and what it answered, so that two answers compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sortgate.components.steps import PREDICTION, TEXT, TOKENS, Form
from sortgate.components.tokenizers import Words
from sortgate.conformance import samples
from sortgate.conformance.findings import NotApplicableError
from sortgate.conformance.predictions import LABELS, prediction
from sortgate.conformance.target import Target
from sortgate.errors import FOREIGN
from sortgate.plugins import ComponentSpec, Kind, Learned, LearnedFromLabels, Registry

_FORMS: Mapping[Kind, Form] = {"normalizer": TEXT, "tokenizer": TOKENS, "filter": TOKENS, "postprocessor": PREDICTION}
_TRAINING_TEXTS = 200


@dataclass(frozen=True)
class Settings:
    """What an author may say about the plugin.

    Attributes:
        params: component to the parameters it is checked with.
        labels: of the predictions that post-processors get.
        budget_us: microseconds a text of forty words may cost in a component.
        import_s: processor seconds that importing the plugin may take.
        huge_s: processor seconds that one text of 64 KiB may take.
    """

    params: Mapping[str, Mapping[str, Any]]
    labels: Sequence[str] = LABELS
    budget_us: float = 1_000.0
    import_s: float = 0.5
    huge_s: float = 2.0


class Subject:
    """A component of the target. Items are what it takes: texts, token lists, or pairs of prediction and text."""

    def __init__(
        self, target: Target, kind: Kind, name: str, settings: Settings, texts: Sequence[str] | None = None
    ) -> None:
        self.target, self.kind, self.name, self.settings = target, kind, name, settings
        self.form = _FORMS[kind]
        self.texts = texts
        self.params = dict(settings.params.get(name, {}))
        #: What processes of their own have answered, by their seed of hashing.
        self.reports: dict[int, Any] = {}

    @cached_property
    def registry(self) -> Registry:
        """The plugin's components."""
        return self.target.load()

    def make(self, **params: Any) -> Any:
        """Make the component, with the author's parameters and these; raises PluginError."""
        return self.registry.create(self.kind, ComponentSpec(self.name, {**self.params, **params}))

    def teach(self, component: Any) -> Any:
        """Let the component learn when it learns at all, from generated texts unless others were given; returns it."""
        texts = self.texts or samples.forty_words(_TRAINING_TEXTS, seed=11)
        if isinstance(component, LearnedFromLabels):
            labels = self.settings.labels
            component.fit_labelled(texts, [[labels[len(text) % len(labels)]] for text in texts])
        elif isinstance(component, Learned):
            component.fit([Words()(text) for text in texts] if self.kind == "filter" else texts)
        return component

    @cached_property
    def component(self) -> Any:
        """The component, taught."""
        return self.teach(self.make())

    @property
    def learns(self) -> bool:
        """Whether the component keeps a state in the bundle."""
        return isinstance(self.component, Learned | LearnedFromLabels)

    @property
    def pure(self) -> bool:
        """Whether the same input must give the same answer at any time."""
        return bool(getattr(self.component, "pure", True))

    @cached_property
    def state(self) -> bytes | None:
        """The learned state; None of a component that learns nothing."""
        return self.component.state() if self.learns else None

    def another(self, state: bytes | None) -> Any:
        """Make a second one with that state."""
        component = self.make()
        if state is not None:
            component.restore(state)
        return component

    def items(self, texts: Sequence[str]) -> list[Any]:
        """Return what stands for these texts at the component's place in the path."""
        if self.kind == "filter":
            words = Words()
            return [words(text) for text in texts]
        if self.kind == "postprocessor":
            return [(prediction(index, self.settings.labels), text) for index, text in enumerate(texts)]
        return list(texts)

    @cached_property
    def core(self) -> list[Any]:
        """The items whose answers are compared."""
        return self.items(samples.core())

    def arguments(self, component: Any, item: Any) -> tuple[Any, ...]:
        """Return what the component is called with for an item: a copy, so that it cannot spoil ours."""
        if self.kind != "postprocessor":
            return (list(item) if isinstance(item, list) else item,)
        return tuple(item) if getattr(component, "wants_text", False) else (item[0],)

    def call(self, component: Any, item: Any) -> Any:
        """Return what the component makes of an item."""
        return component(*self.arguments(component, item))

    def batch(self, component: Any, items: Sequence[Any]) -> list[Any]:
        """Return what its batch form makes of the items."""
        columns = zip(*(self.arguments(component, item) for item in items), strict=True)
        return list(component.batch(*map(list, columns)))

    def answer(self, component: Any, item: Any) -> str:
        """Return what the component answers, in a form that compares, also between processes."""
        try:
            made = self.call(component, item)
        except FOREIGN as error:
            return f"raised {type(error).__name__}"
        return self.written(made)

    def answers(self, component: Any, items: Sequence[Any] | None = None) -> list[str]:
        """Return the answers to items, or to the core."""
        return [self.answer(component, item) for item in (self.core if items is None else items)]

    def written(self, made: Any) -> str:
        """Write what came out; of a wrong type only its name, which is another check's matter."""
        return ascii(made) if self.form.fits(made) else f"returned {type(made).__name__}"

    @cached_property
    def steady(self) -> dict[int, str]:
        """Answers to the core that are the same a second time: what comes and goes is another check's matter."""
        first, again = self.answers(self.component), self.answers(self.component)
        return {index: one for index, (one, two) in enumerate(zip(first, again, strict=True)) if one == two}

    def must_learn(self) -> None:
        """Leave the check out unless the component learns."""
        if not self.learns:
            raise NotApplicableError("the component learns nothing")

    def must_be_pure(self) -> None:
        """Leave the check out when the component says that its answers change with time."""
        if not self.pure:
            raise NotApplicableError("the component says pure = False: its answers may change with time")

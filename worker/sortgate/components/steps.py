"""One component of the path: runs it over many items, in a batch where it can, has it learn, and takes what it learned.

A failure stays with the item it came from, and nothing that is said of it holds a text.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sortgate.errors import FOREIGN, ComponentError, PluginError, TextError
from sortgate.types import LabelScore, Prediction


@dataclass(slots=True)
class Tally:
    """What a component has done since its path was made.

    Attributes:
        seconds: spent in it.
        failures: items on which it failed.
        streak: failures since an item last succeeded, counted by the batch: a batch in which one did ends it.
    """

    seconds: float = 0.0
    failures: int = 0
    streak: int = 0


@dataclass(slots=True)
class Step:
    """One step of the path.

    Attributes:
        name: the component's registered name.
        component: the component.
        kind: normalizer, tokenizer, filter or postprocessor; empty where nobody knows.
        plugin: distribution that provided it, and its version; empty where nobody knows.
        tally: what it has done.
    """

    name: str
    component: Any
    kind: str = ""
    plugin: str = ""
    tally: Tally = field(default_factory=Tally)

    @property
    def origin(self) -> str:
        """Place and plugin for the end of a sentence, empty where nobody knows."""
        return f" ({self.kind} of {self.plugin})" if self.plugin else ""

    def apart(self) -> Step:
        """Return the same step with a tally of its own, for what is not to be counted."""
        return Step(self.name, self.component, self.kind, self.plugin)


class Form(NamedTuple):
    """What a component must return."""

    noun: str
    fits: Callable[[Any], bool]


TEXT = Form("a string", lambda value: isinstance(value, str))
TOKENS = Form("a list of strings", lambda value: isinstance(value, list) and set(map(type, value)) <= {str})


def _is_prediction(value: Any) -> bool:
    """Whether a result can be made of it; the parts of each LabelScore are left to the post-processor's tests."""
    return (
        isinstance(value, Prediction)
        and (value.label is None or isinstance(value.label, str))
        and isinstance(value.score, float | int)
        and 0.0 <= value.score <= 1.0  # false for what is no number
        and isinstance(value.labels, tuple)
        and set(map(type, value.labels)) <= {LabelScore}
    )


PREDICTION = Form("a Prediction with a label or None, a score from 0 to 1 and a tuple of LabelScores", _is_prediction)


def apply(
    step: Step,
    results: list[Any],
    form: Form,
    skip: Callable[[Any], bool] = lambda item: isinstance(item, TextError),
    beside: Sequence[Any] | None = None,
) -> None:
    """Replace each item by what the component makes of it, or by a ComponentError.

    ``beside`` holds a second argument for each item, where the component takes two.
    """
    tally = step.tally
    started = time.perf_counter()
    open_ = [index for index, item in enumerate(results) if not skip(item)]
    columns = [[results[index] for index in open_]]
    if beside is not None:
        columns.append([beside[index] for index in open_])
    made = _batched(step.component, columns, form)
    if made is None:  # each alone, which finds the bad one
        made = [_single(step, items, form) for items in zip(*columns, strict=True)]
        failures = sum(isinstance(value, ComponentError) for value in made)
        tally.failures += failures
        tally.streak = tally.streak + failures if failures == len(made) else 0
    else:
        tally.streak = 0
    for index, value in zip(open_, made, strict=True):
        results[index] = value
    tally.seconds += time.perf_counter() - started


def _batched(component: Any, columns: list[list[Any]], form: Form) -> list[Any] | None:
    """Return the batch's values, or None when there is no batch form, or any value is wrong."""
    batch = getattr(component, "batch", None)
    if batch is None or len(columns[0]) < 2:
        return None
    try:
        made = list(batch(*columns))
    except FOREIGN:
        return None
    return made if len(made) == len(columns[0]) and all(map(form.fits, made)) else None


def _single(step: Step, items: tuple[Any, ...], form: Form) -> Any:
    try:
        made = step.component(*items)
    except FOREIGN as exc:  # its message, traceback and context may hold the text: only its type is kept
        failure = f"failed: {type(exc).__name__}"
    else:
        if form.fits(made):
            return made
        failure = f"returned {type(made).__name__}, not {form.noun}"
    return ComponentError(f"component {step.name} {failure}{step.origin}", step.name, step.kind, step.plugin)


def learn(step: Step, items: Sequence[Any]) -> None:
    """Call the component's ``fit`` with what those before it made of the texts.

    Raises:
        PluginError: it failed.
    """
    _call(step, step.component.fit, items)


def learn_from_labels(step: Step, texts: Sequence[str], label_sets: Sequence[Sequence[str]]) -> None:
    """Call the component's ``fit_labelled``.

    Raises:
        PluginError: it failed.
    """
    _call(step, step.component.fit_labelled, texts, label_sets)


def learned_state(step: Step) -> bytes:
    """Return what the component learned, as it goes into a bundle.

    Raises:
        PluginError: the component cannot write it.
    """
    try:
        state = step.component.state()
    except FOREIGN as exc:
        problem = type(exc).__name__
    else:
        if isinstance(state, bytes):
            return state
        problem = f"state() returned {type(state).__name__}, not bytes"
    raise PluginError(f"component {step.name} cannot write what it learned: {problem}{step.origin}")


def _call(step: Step, fit: Any, *learned_from: Any) -> None:
    try:
        fit(*learned_from)
    except PluginError:  # says in words of its own what it lacks
        raise
    except FOREIGN as exc:  # its message may hold a text: only its type is kept
        raise PluginError(
            f"component {step.name} cannot learn from the texts: {type(exc).__name__}{step.origin}"
        ) from None

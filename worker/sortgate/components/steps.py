"""Runs one component over many items, in a batch where it can; a failure stays with the item it came from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from sortgate.errors import ComponentError, TextError
from sortgate.types import Prediction

#: One step of the path: the component's registered name, and the component.
Step = tuple[str, Any]


class Form(NamedTuple):
    """What a component must return."""

    noun: str
    fits: Callable[[Any], bool]


TEXT = Form("a string", lambda value: isinstance(value, str))
TOKENS = Form("a list of strings", lambda value: isinstance(value, list) and set(map(type, value)) <= {str})
PREDICTION = Form("a Prediction", lambda value: isinstance(value, Prediction))


def apply(
    step: Step,
    results: list[Any],
    form: Form,
    skip: Callable[[Any], bool] = lambda item: isinstance(item, TextError),
) -> None:
    """Replace each item by what the component makes of it, or by a ComponentError."""
    name, component = step
    open_ = [index for index, item in enumerate(results) if not skip(item)]
    batch = getattr(component, "batch", None)
    if batch is not None and len(open_) > 1:
        made = _batched(batch, [results[index] for index in open_], form)
        if made is not None:
            for index, value in zip(open_, made, strict=True):
                results[index] = value
            return
    for index in open_:
        results[index] = _single(name, component, results[index], form)


def _batched(batch: Callable[[Any], Any], items: list[Any], form: Form) -> list[Any] | None:
    """Return the batch's values, or None when any is wrong: then each text is tried alone, to find the bad one."""
    try:
        made = list(batch(items))
    except Exception:
        return None
    return made if len(made) == len(items) and all(map(form.fits, made)) else None


def _single(name: str, component: Callable[[Any], Any], item: Any, form: Form) -> Any:
    try:
        made = component(item)
    except Exception as exc:  # its message, traceback and context may hold the text: only its type is kept
        failure = f"component {name} failed: {type(exc).__name__}"
    else:
        if form.fits(made):
            return made
        failure = f"component {name} returned {type(made).__name__}, not {form.noun}"
    return ComponentError(failure, name)

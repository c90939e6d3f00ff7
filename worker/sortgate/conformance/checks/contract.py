"""What a component promises before it sees a text: its name, documentation, how it is made and what it refuses."""

from __future__ import annotations

import functools
import inspect
import re
from typing import Any

from sortgate.conformance import samples
from sortgate.conformance.findings import CheckError, raised, shown
from sortgate.conformance.subject import Subject
from sortgate.errors import FOREIGN, ComponentParamsError, PluginError, PluginLoadError

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*(\.[a-z0-9][a-z0-9_-]*)+\.v[1-9][0-9]*")
_LONGEST_NAME = 64
#: First lines that a factory has from Python when it has none of its own.
_FOREIGN = {
    (inspect.getdoc(kind) or "").partition("\n")[0]
    for kind in (dict, list, str, tuple, set, frozenset, functools.partial)
}
#: JSON values that hardly any parameter takes.
_NONSENSE: tuple[Any, ...] = (
    [["nonsense"]],
    {"nonsense": [None]},
    "nonsense \x00 \U0010ffff",
    -1e300,
    1e300,
    True,
    None,
)
_LEARNING = ("fit", "state", "restore")


def name(subject: Subject) -> None:
    """The name reads ``owner.thing.v1``, and is not too long for a table."""
    if not _NAME.fullmatch(subject.name) or len(subject.name) > _LONGEST_NAME:
        raise CheckError(
            f"the name {subject.name!r}",
            "a name that does not read owner.thing.v1",
            f"lower case, a version from v1 on without zeros before it, at most {_LONGEST_NAME} characters",
        )


def documentation(subject: Subject) -> None:
    """The factory has a docstring of its own: ``sortgate plugins show`` prints it."""
    doc = subject.registry.describe(subject.name).doc.strip()
    if not doc or doc in _FOREIGN:
        raise CheckError(
            "the factory's docstring",
            "none of its own" if doc else "none",
            "write one line that says what the component does; sortgate plugins show prints it",
        )


def creation(subject: Subject) -> None:
    """It can be made, learns from generated texts if it learns, and has all methods that learning needs."""
    given = f"the parameters {subject.params}" if subject.params else "no parameters"
    try:
        component = subject.make()
    except ComponentParamsError as error:
        advice = f"pass params={{{subject.name!r}: {{...}}}} to the check, or give the parameters defaults"
        raise CheckError(given, str(error), advice) from None
    except PluginError as error:
        raise CheckError(given, str(error), "mend the factory, or install what it needs") from None
    has = [method for method in (*_LEARNING, "fit_labelled") if callable(getattr(component, method, None))]
    if has and (not {"state", "restore"} <= set(has) or len(has) < len(_LEARNING)):
        advice = "give it all of fit (post-processors: fit_labelled), state and restore, or none"
        raise CheckError(given, f"a component that has {', '.join(has)} only", advice)
    try:
        subject.teach(component)
    except FOREIGN as error:
        advice = "fit must take any texts, or token lists for a filter"
        raise CheckError("generated texts to learn from", raised(error), advice) from None


def parameters(subject: Subject) -> None:
    """Nonsense is refused when the component is made, with ValueError or TypeError, or works."""
    unknown = "nonsense_parameter"
    try:
        subject.make(**{unknown: 1})
    except PluginError:
        pass
    else:
        advice = "name the factory's parameters; **kwargs swallows what is mistyped"
        raise CheckError(f"a parameter {unknown!r} that nobody knows", "a component", advice)
    texts = [*samples.core()[:3], *samples.ORDINARY]
    for parameter in subject.registry.describe(subject.name).params:
        for value in _NONSENSE:
            _judge(subject, parameter, value, texts)


def _judge(subject: Subject, parameter: str, value: Any, texts: list[str]) -> None:
    given = f"{parameter} = {shown(value)}"
    advice = f"check {parameter} in the factory, and refuse what it cannot be with ValueError or TypeError"
    try:
        component = subject.make(**{parameter: value})
    except PluginLoadError as error:
        if error.__cause__ is None:
            return
        raise CheckError(given, raised(error.__cause__), advice) from None
    except PluginError:
        return
    try:
        subject.teach(component)
        for item in subject.items(texts):
            subject.call(component, item)
    except FOREIGN as error:
        came = f"a component that fails only later, with {raised(error)}"
        raise CheckError(given, came, advice) from None

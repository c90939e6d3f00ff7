"""What a component answers: the right type, the same each time, and nothing of its input changed."""

from __future__ import annotations

import locale
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

from sortgate.conformance import samples
from sortgate.conformance.checks.processes import process
from sortgate.conformance.findings import CheckError, NotApplicableError, apart, raised, shown
from sortgate.conformance.subject import Subject
from sortgate.errors import FOREIGN

_OUT_OF_PROCESS = "do not let a set's order, hash(), id() or anything outside the input decide"


def right_type(subject: Subject) -> None:
    """An ordinary text gives a string, a list of strings or a Prediction."""
    for item in subject.items([*samples.ORDINARY, *samples.forty_words(3)]):
        try:
            made = subject.call(subject.component, item)
        except FOREIGN as error:
            raise CheckError(shown(item), raised(error), "let it answer every ordinary text") from None
        if not subject.form.fits(made):
            advice = f"return {subject.form.noun}" + (
                "; tokens are plain str" if subject.form.noun.startswith("a list") else ""
            )
            raise CheckError(shown(item), f"{type(made).__name__} {shown(made)}", advice)


def purity(subject: Subject) -> None:
    """It changes neither what it is given nor the process around it."""
    component, before = subject.component, _surroundings()
    rows = [subject.arguments(component, item) for item in subject.core]
    for row in rows:
        given = deepcopy(row)
        _try(component, given)
        _compare(row[0], given[0])
    if hasattr(component, "batch"):
        columns = [list(column) for column in zip(*rows, strict=True)]
        given_columns = deepcopy(columns)
        _try(component.batch, given_columns)
        _compare(columns[0], given_columns[0])
    for what, value in _surroundings().items():
        if before[what] != value:
            raise CheckError("the ordinary texts", f"another {what} of the process", f"leave the {what} as it is")


def _try(call: Any, arguments: Sequence[Any]) -> None:
    with suppress(Exception):  # another check's matter
        call(*arguments)


def _compare(before: Any, after: Any) -> None:
    if repr(before) != repr(after):
        raise CheckError(
            shown(before), f"its input changed to {shown(after)}", "work on a copy: others hold that object too"
        )


def _surroundings() -> dict[str, Any]:
    return {
        "environment": dict(os.environ),
        "working folder": str(Path.cwd()),
        "locale": locale.setlocale(locale.LC_ALL),
        "recursion limit": sys.getrecursionlimit(),
    }


def determinism(subject: Subject) -> None:
    """The same input gives the same answer: again, in another order, from one made alike, in other processes."""
    subject.must_be_pure()
    core, component = subject.core, subject.component
    first = subject.answers(component)
    again = "remember nothing between calls, and draw no random numbers"
    _same(core, first, subject.answers(component), "a second time", again)
    _same(core, first, subject.answers(component, core[::-1])[::-1], "in another order", again)
    other = subject.another(subject.state)
    _same(core, first, subject.answers(other), "by another one with the same parameters and state", again)
    one, two = (process(subject, seed).result("answers") for seed in (1, 2))
    _same(core, one, two, "in a process with another PYTHONHASHSEED", _OUT_OF_PROCESS)


def _same(items: Sequence[Any], first: Sequence[str], other: Sequence[str], when: str, advice: str) -> None:
    for item, one, two in zip(items, first, other, strict=True):
        if one != two:
            raise CheckError(shown(item), apart(one, two, when), advice)


def batch(subject: Subject) -> None:
    """The batch form says the same as one call an item, however the items are split."""
    component = subject.component
    if not hasattr(component, "batch"):
        raise NotApplicableError("the component has no batch form")
    advice = "let batch return one answer an item, in order, each the same as a call would give"
    # a failing item is tried alone anyway, so batches are of those that answer
    steady = [index for index, answer in subject.steady.items() if not answer.startswith("raised")]
    if not steady:
        raise NotApplicableError("no answer is the same twice, which determinism is about")
    for size in (2, 3, 7, len(steady)):
        for start in range(0, len(steady), size):
            chosen = steady[start : start + size]
            chosen += chosen[:1]  # one comes twice
            items = [subject.core[index] for index in chosen]
            try:
                made = [subject.written(value) for value in subject.batch(component, items)]
            except FOREIGN as error:
                raise CheckError(f"a batch of {len(items)}: {shown(items)}", raised(error), advice) from None
            if len(made) != len(items):
                raise CheckError(f"a batch of {len(items)}: {shown(items)}", f"{len(made)} answers", advice)
            expected = [subject.steady[index] for index in chosen]
            for item, one, value in zip(items, expected, made, strict=True):
                if one != value:
                    came = apart(value, one, "when called with it alone")
                    raise CheckError(f"{shown(item)} in a batch of {len(items)}", came, advice)


def by_white_space(subject: Subject) -> None:
    """A tokenizer that says ``by_white_space`` gives a text's tokens piece by piece."""
    component = subject.component
    if subject.kind != "tokenizer" or not getattr(component, "by_white_space", False):
        raise NotApplicableError("the component does not say by_white_space = True")
    for text in samples.core():
        try:
            whole = component(text)
            pieces = [token for piece in text.split() for token in component(piece)]
        except FOREIGN:
            continue
        if whole != pieces:
            came = f"{shown(whole)}, but {shown(pieces)} from its pieces between white space"
            raise CheckError(
                shown(text), came, "leave by_white_space out: the tokens depend on what is beyond white space"
            )

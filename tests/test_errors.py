"""Errors cross process borders whole."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest

from sortgate import errors
from sortgate.errors import ClientError, ComponentError, MessageError, QueueFullError, ResultError, SortgateError

SAMPLES: list[SortgateError] = [
    ComponentError("it failed", "owner.thing.v1"),
    MessageError("bad_field", "no"),
    ClientError("no"),
    QueueFullError("full"),
    ResultError("dead", "worker_lost", "died"),
]
SIMPLE = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, SortgateError) and kind.__init__ is SortgateError.__init__
]


@pytest.mark.parametrize("error", SAMPLES + [kind("why") for kind in SIMPLE], ids=lambda error: type(error).__name__)
def test_pickling_keeps_type_message_and_attributes(error: SortgateError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


def test_every_error_stands_in_the_tree() -> None:
    names = {name for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, SortgateError)}
    assert errors.__doc__ is not None
    assert names <= set(re.findall(r"\w+", errors.__doc__))

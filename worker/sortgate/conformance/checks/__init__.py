"""The checks, in the order in which they run, and which of them must have passed before."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from sortgate.conformance.checks import answers, contract, learning, predictions, processes, speed, texts
from sortgate.conformance.subject import Subject
from sortgate.plugins import KINDS, Kind


class Check(NamedTuple):
    """One check of a component.

    Attributes:
        name: as a test's id shows it.
        run: raises CheckError, or NotApplicableError where it does not apply.
        after: checks without which this one would only say the same again.
        kinds: that have it.
    """

    name: str
    run: Callable[[Subject], None]
    after: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = KINDS


_WORKS = ("creation", "type")
#: What must hold before a process of its own can be given the component as it is here.
_TRAVELS = (*_WORKS, "state-format", "state")
_SAME = (*_TRAVELS, "determinism")
_LABELS: tuple[Kind, ...] = ("postprocessor",)

CHECKS: tuple[Check, ...] = (
    Check("name", contract.name),
    Check("documentation", contract.documentation),
    Check("creation", contract.creation),
    Check("type", answers.right_type, ("creation",)),
    Check("parameters", contract.parameters, _WORKS),
    Check("purity", answers.purity, _WORKS),
    Check("state-format", learning.state_format, _WORKS),
    Check("state", learning.state, (*_WORKS, "state-format")),
    Check("state-damage", learning.damage, _TRAVELS),
    Check("learning", learning.learning, (*_TRAVELS, "spawn")),
    Check("determinism", answers.determinism, _TRAVELS),
    Check("batch", answers.batch, _WORKS),
    Check("by-white-space", answers.by_white_space, _WORKS, ("tokenizer",)),
    Check("unicode", texts.unicode, _WORKS),
    Check("blank", texts.blank, (*_WORKS, "unicode")),
    Check("threads", processes.threads, _SAME),
    Check("spawn", processes.spawn, _SAME),
    Check("fork", processes.fork, (*_SAME, "spawn")),
    Check("linear", speed.linear, (*_TRAVELS, "spawn")),
    Check("huge", texts.huge, (*_TRAVELS, "spawn", "unicode", "blank", "linear")),
    Check("budget", speed.budget, _WORKS),
    Check("scores", predictions.scores, _WORKS, _LABELS),
    Check("ranking", predictions.ranking, _WORKS, _LABELS),
    Check("truncated", predictions.truncated, _WORKS, _LABELS),
    Check("error", predictions.error, _WORKS, _LABELS),
)

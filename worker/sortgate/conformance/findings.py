"""What a check says of a plugin: one paragraph with what was given, what came out and what to do."""

from __future__ import annotations

from typing import Any

import msgspec

#: Characters of a value that a finding shows.
_SHOWN = 120
#: Characters of two values that differ, and how many of them stand before the difference.
_APART, _BEFORE = 80, 24


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong with a plugin.

    Attributes:
        subject: the component's name, or the plugin's when no component is to blame.
        check: name of the check.
        given: what the component was given; always made-up input.
        came: what came out.
        advice: what to do about it.
    """

    subject: str
    check: str
    given: str
    came: str
    advice: str

    @property
    def id(self) -> str:
        """Name of the test case, ``phones.mask.v1-determinism``."""
        return f"{self.subject}-{self.check}"

    def __str__(self) -> str:
        """The paragraph."""
        text = f"{self.subject} fails the check {self.check!r}. Given: {self.given}. Came out: {self.came}. "
        return " ".join(f"{text}What to do: {self.advice}.".split())


class Verdict(msgspec.Struct, frozen=True):
    """How a check ended: with a finding, left out for a reason, or (both None) well."""

    finding: Finding | None = None
    left_out: str | None = None


class CheckError(Exception):
    """A check failed; the arguments are a finding's ``given``, ``came`` and ``advice``."""

    def __init__(self, given: str, came: str, advice: str) -> None:
        super().__init__(given, came, advice)
        self.given, self.came, self.advice = given, came, advice


class NotApplicableError(Exception):
    """A check does not apply; the argument says why."""


def shown(value: Any) -> str:
    """Return ``value`` as Python writes it, in one line, its middle left out when it is long."""
    if isinstance(value, str | list) and len(value) > _SHOWN:
        value = value[:_SHOWN]  # repr of 64 KiB would be made for nothing
    text = " ".join(repr(value).split())
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 30]} … {text[-25:]}"


def raised(error: BaseException) -> str:
    """Return what was raised, in words."""
    return f"{type(error).__name__}: {shown(str(error))}" if str(error) else type(error).__name__


def apart(one: str, other: str, where: str) -> str:
    """Return how two answers, as a subject writes them, differ: ``one, but other where``, from a little before."""
    at = next((at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), 0)
    start = max(0, at - _BEFORE)
    first, second = (
        f"{'…' if start else ''}{text[start : start + _APART]}{'…' if len(text) > start + _APART else ''}"
        for text in (one, other)
    )
    return f"{first}, but {second} {where}"

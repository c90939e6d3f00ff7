"""Time: linear in the text, bounded for the largest one, and within the budget for an ordinary one."""

from __future__ import annotations

from sortgate.conformance import samples
from sortgate.conformance.checks.processes import paces
from sortgate.conformance.clock import measure
from sortgate.conformance.findings import CheckError
from sortgate.conformance.subject import Subject


def linear(subject: Subject) -> None:
    """Eight times the text takes about eight times as long, and 64 KiB do not hold up a batch."""
    advice = "look for patterns that try again from each character, for nested loops, and for strings grown by +="
    for pace in paces(subject):
        given = f"{pace.what} to 8 KiB and to 64 KiB"
        came = f"an answer after {pace.small_s * 1e3:.1f} ms and after {pace.large_s * 1e3:.0f} ms"
        if not pace.linear:
            raise CheckError(given, f"{came}, which is {pace.large_s / pace.small_s:.0f} times as long", advice)
        if pace.large_s > subject.settings.huge_s:
            raise CheckError(given, f"{came}; {subject.settings.huge_s:g} s are allowed (huge_s)", advice)


def budget(subject: Subject) -> None:
    """A text of forty words costs no more than the budget, in the form that the worker calls."""
    allowed = subject.settings.budget_us
    items = subject.items(samples.forty_words(64))
    cost = measure(subject.component, [subject.arguments(subject.component, item) for item in items]).served_us
    if cost > allowed:
        came = f"{cost:,.0f} µs a text; {allowed:,.0f} µs are allowed"
        advice = (
            "compile patterns and open files once, in the factory; give it a batch form; or allow more with budget_us"
        )
        raise CheckError("texts of forty words", came, advice)

"""Tells a component that is broken here from texts that it cannot take, in a pool process.

Texts come from strangers, who may send any number that a component fails on: those are answered ``error``, and nobody
else waits. A component that has lost its file, its memory or its library fails on everything. What tells them apart is
the bundle's golden texts, which are known to be good.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sortgate.errors import ComponentBrokenError

if TYPE_CHECKING:
    from sortgate.inference import Classifier


def check_components(classifier: Classifier, failures: int) -> None:
    """Try the golden texts when a component has failed on so many texts in a row; 0 never does.

    Raises:
        ComponentBrokenError: it fails on them, too.
    """
    if failures and any(step.tally.streak >= failures for step in classifier.text_path.steps):
        problem = try_golden(classifier)
        if problem:
            raise ComponentBrokenError(f"{classifier.model_name}: {problem}, and so on the bundle's golden texts")


def try_golden(classifier: Classifier) -> str | None:
    """Return why a component fails on the golden texts; None when none does, and failures in a row then count anew."""
    from sortgate.inference.golden import failing_component

    bundle, path = classifier.bundle, classifier.text_path
    streaks = [step.tally.streak for step in path.steps]
    problem = None if bundle is None else failing_component(classifier, bundle.read(bundle.manifest.golden))
    if problem is None:
        for step in path.steps:
            step.tally.streak = 0
    else:  # what is left of the row is tried again with the next failure
        for step, streak in zip(path.steps, streaks, strict=True):
            step.tally.streak = max(step.tally.streak, streak)
    return problem

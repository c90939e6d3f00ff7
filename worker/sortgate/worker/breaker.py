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
    tallies = classifier.text_path.tallies.values()
    if failures and any(tally.streak >= failures for tally in tallies):
        problem = try_golden(classifier)
        if problem:
            raise ComponentBrokenError(f"{classifier.model_name}: {problem}, and so on the bundle's golden texts")


def try_golden(classifier: Classifier) -> str | None:
    """Return why a component fails on the golden texts, None when none does; failures in a row count from here anew."""
    from sortgate.inference.golden import failing_component

    bundle = classifier.bundle
    problem = None if bundle is None else failing_component(classifier, bundle.read(bundle.manifest.golden))
    for tally in classifier.text_path.tallies.values():
        tally.streak = 0
    return problem

"""Label post-processors: what to decide from the scores that a classifier gives."""

from __future__ import annotations

from sortgate.plugins import Register, hookimpl
from sortgate_rules.abstain import Abstain
from sortgate_rules.business_hours import BusinessHours
from sortgate_rules.costs import Costs
from sortgate_rules.hierarchy import Hierarchy
from sortgate_rules.keywords import Keywords
from sortgate_rules.thresholds import Thresholds

__all__ = [
    "Abstain",
    "BusinessHours",
    "Costs",
    "Hierarchy",
    "Keywords",
    "Thresholds",
    "sortgate_register_postprocessors",
]


@hookimpl
def sortgate_register_postprocessors(register: Register) -> None:
    """Register the six rules."""
    register("rules.thresholds.v1", Thresholds)
    register("rules.abstain.v1", Abstain)
    register("rules.hierarchy.v1", Hierarchy)
    register("rules.keywords.v1", Keywords)
    register("rules.costs.v1", Costs)
    register("rules.business_hours.v1", BusinessHours)

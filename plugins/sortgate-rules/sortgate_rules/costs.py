"""``rules.costs.v1``: the label that is the least expensive to be wrong with, not the most probable one.

Bayes' decision: of all labels, the one with the least expected cost, the sum over the true labels of their probability
times what the decision costs then (Elkan 2001, "The Foundations of Cost-Sensitive Learning", equation 1).
"""

from __future__ import annotations

from collections.abc import Mapping

from sortgate.types import Prediction
from sortgate_rules import parameters
from sortgate_rules.deciding import decide

#: As a true label in the table: any that has no cost of its own.
ANY = "*"


class Costs:
    """Gives the label of least expected cost: ``costs[truth][label]``, else ``default``, and 0 for the truth itself.

    A label that the classifier does not know, ``human`` say, can be decided for, too, once ``costs`` names it.
    """

    def __init__(self, costs: Mapping[str, Mapping[str, float]], default: float = 1.0) -> None:
        self._default = parameters.number("default", default)
        # label decided for → true label → cost
        self._by_decision: dict[str, dict[str, float]] = {}
        for truth, row in parameters.table("costs", costs).items():
            for label, cost in parameters.table(f"costs.{truth}", row).items():
                checked = parameters.number(f"costs.{truth}.{label}", cost)
                self._by_decision.setdefault(label, {})[truth] = checked

    def __call__(self, prediction: Prediction) -> Prediction:
        scores = {entry.label: entry.score for entry in prediction.labels}
        if prediction.label is None or not scores:
            return prediction
        total = sum(scores.values())
        candidates = self._candidates(scores)
        return decide(prediction, min(candidates, key=lambda label: self._expected(label, scores, total)))

    def _candidates(self, scores: dict[str, float]) -> list[str]:
        """Return the labels with costs of their own, and of the others the most probable, which is their cheapest.

        ``scores`` has the best first, and of labels that cost the same the first is decided for.
        """
        special = self._by_decision
        usual = next((label for label in scores if label not in special), None)
        known = [label for label in scores if label == usual or label in special]
        return known + [label for label in special if label not in scores]

    def _expected(self, label: str, scores: dict[str, float], total: float) -> float:
        """Return the expected cost of deciding for ``label``, by as few steps as its exceptions from the rule take."""
        special = self._by_decision.get(label, {})
        usual = special.get(ANY, self._default)
        cost = usual * (total - scores.get(label, 0.0))
        for truth, exception in special.items():
            if truth != ANY:
                cost += scores.get(truth, 0.0) * (exception - (0.0 if truth == label else usual))
        return cost

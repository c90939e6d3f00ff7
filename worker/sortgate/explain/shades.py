"""What the terminal and the page have in common: steps of strength with marks that need no colour, and words."""

from __future__ import annotations

from collections.abc import Sequence

from sortgate.explain.explanation import Decision, Explanation
from sortgate.types import Prediction

#: Shares of the largest contribution from which on a token is shaded more strongly.
_STEPS = (0.1, 0.35, 0.7)
_MARKS = {-3: "⁻⁻⁻", -2: "⁻⁻", -1: "⁻", 0: "", 1: "⁺", 2: "⁺⁺", 3: "⁺⁺⁺"}

#: Tokens told one by one; of a longer text, those that count most.
MOST_TOKENS = 60


def strengths(contributions: Sequence[float]) -> list[int]:
    """Return −3 to 3 for each: how strong it is beside the strongest, and whether it speaks for the label."""
    largest = max(map(abs, contributions), default=0.0)
    found = []
    for value in contributions:
        step = sum(abs(value) >= share * largest > 0 for share in _STEPS)
        found.append(step if value > 0 else -step)
    return found


def mark(strength: int) -> str:
    """Return the sign that stands for a strength: one to three raised plus or minus signs."""
    return _MARKS[strength]


def strongest(contributions: Sequence[float], most: int = MOST_TOKENS) -> list[int]:
    """Return the positions of the ``most`` largest contributions, in the order of the text."""
    order = sorted(range(len(contributions)), key=lambda at: -abs(contributions[at]))
    return sorted(order[:most])


def signed(value: float) -> str:
    """Return a contribution as people read it, with a sign unless it rounds to 0."""
    return _minus(f"{value:+.2f}") if abs(value) >= 0.005 else "0.00"


def percent(probability: float) -> str:
    """Return a probability as people read it; one that rounds to 0 or 100 says that it is neither."""
    share = 100.0 * probability
    if 0.0 < share < 0.05:
        return "<0.1 %"
    if 99.95 <= share < 100.0:
        return ">99.9 %"
    return f"{share:.1f} %"


def answer(prediction: Prediction) -> str:
    """Return what a prediction says."""
    if prediction.error is not None:
        return f"no answer: {prediction.error.message}"
    return f"{'no label' if prediction.label is None else prediction.label}  {percent(prediction.score)}"


def outcome(decision: Decision) -> str:
    """Return what a label post-processor did; empty when it changed nothing."""
    if not decision.changed:
        return ""
    fewer = len(decision.before.labels) - len(decision.after.labels)
    more = f"; the list has {fewer} labels fewer" if fewer > 0 and decision.after.error is None else ""
    return f"{answer(decision.before)} → {answer(decision.after)}{more}"


def sums(explanation: Explanation) -> list[str]:
    """Return sentences that say what the contributions are and what they sum to."""
    of = explanation.gradients
    label, lines = explanation.label, []
    if of is not None and of.problem is None:
        lines.append(
            f"By integrated gradients: from a text of as many unknown words ({percent(explanation.reference)}) to this "
            f"one ({percent(explanation.score)}) the log-odds of {label} change by {signed(of.total)}. "
            f"The contributions sum to {signed(of.sum)}; {_minus(f'{of.remainder:+.3f}')} is left over."
        )
    elif of is not None:
        lines.append(f"No integrated gradients: {of.problem}.")
    if explanation.tokens and explanation.tokens[0].occlusion is not None:
        lines.append(
            "By occlusion: the log-odds lost when this word alone is unknown. These do not sum to anything: two words "
            "that say the same can each be missed without loss."
        )
    return lines


def _minus(figure: str) -> str:
    return figure.replace("-", "−")

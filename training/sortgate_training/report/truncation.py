"""The cost of truncation: how good the answers are to texts that are cut, beside those to texts that are not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sortgate.textconfig import TextLimits
from sortgate_training.report.judged import Judged
from sortgate_training.report.sections import ranged
from sortgate_training.report.statistics import wilson


@dataclass(frozen=True)
class Truncation:
    """What is cut, and how many answers are right; ``lost`` is a share of all tokens of the texts that are cut."""

    limits: TextLimits
    cut: int
    whole: int
    right_cut: int
    right_whole: int
    lost: float

    def describe(self, part: str, figure: str = "accuracy") -> str:
        """Return a sentence: ``part`` names the texts, ``figure`` the share of right answers."""
        count = self.cut + self.whole
        words = (
            f"{self.cut:,} of {count:,} {part} texts ({self.cut / count:.1%}) are cut to their {self.limits.kept}, "
            f"which loses {self.lost:.0%} of their tokens; {figure} in per cent with 95 % intervals: "
            f"{ranged(self.right_cut / self.cut, wilson(self.right_cut, self.cut))} on these"
        )
        if self.whole:
            whole = ranged(self.right_whole / self.whole, wilson(self.right_whole, self.whole))
            words += f", {whole} on the others, which may differ in more than their length"
        return words

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for the manifest."""
        return {
            "texts_cut": self.cut,
            "texts_whole": self.whole,
            "accuracy_cut": self.right_cut / self.cut,
            "accuracy_whole": self.right_whole / self.whole if self.whole else None,
            "tokens_lost": self.lost,
        }


def truncation_of(judged: Judged, limits: TextLimits) -> Truncation | None:
    """Return the figures, None where no text is cut; of sets of labels, an answer is right when all of it is."""
    if judged.truncated is None or not judged.truncated.any():
        return None
    truth, answers = judged.sets or (judged.truth, judged.answers)
    right = np.array([truth[row] == answers[row] for row in judged.rows])
    cut = judged.truncated > 0
    return Truncation(
        limits,
        int(cut.sum()),
        int((~cut).sum()),
        int(right[cut].sum()),
        int(right[~cut].sum()),
        float(judged.truncated.sum() / judged.tokens[cut].sum()),
    )

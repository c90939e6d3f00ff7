"""The table of logit adjustment: the same as adjusting by hand, and advice that follows the figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sortgate_training.report.page import render_report
from sortgate_training.report.rare import Adjusted, adjust, advise
from sortgate_training.report.statistics import Interval

Make = Callable[..., Any]
LEARNED = Counter({"a": 900, "b": 80, "c": 20})


def test_scores_are_adjusted_by_the_shares(judged: Make) -> None:
    made = judged(labels=("a", "b", "c"))
    rows = adjust(made, LEARNED, 2.0)
    prior = np.log([0.9, 0.08, 0.02])
    for row in rows:
        answers = (made.logits / 2.0 - row.tau * prior).argmax(axis=1)
        assert row.accuracy == pytest.approx((answers == made.targets()).mean())
    # what training took off is put back first
    shift = prior.astype(np.float32)
    assert adjust(replace(made, logits=made.logits - shift), LEARNED, 2.0, shift) == rows


def test_unknown_labels_are_wrong_and_equal_ones_need_no_table(judged: Make) -> None:
    made = judged(labels=("a", "b", "c"))
    truth = ["new", *made.truth[1:]]
    right = (made.logits.argmax(axis=1) == made.targets())[1:].sum()
    assert adjust(replace(made, truth=truth), LEARNED, 1.0)[0].accuracy == pytest.approx(right / 200)
    assert adjust(made, Counter(a=10, b=9, c=1), 1.0) == []


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (Adjusted(0.5, 0.88, 0.55, Interval(0.01, 0.09)), "by 5.0 points and costs 2.0 points of accuracy: where rare"),
        (Adjusted(1.0, 0.91, 0.55, Interval(0.01, 0.09)), "costs no accuracy"),
        (Adjusted(1.0, 0.91, 0.55, Interval(-0.01, 0.11)), "No τ raises macro-F1 by more than chance"),
    ],
)
def test_the_advice(row: Adjusted, says: str) -> None:
    plain = Adjusted(0.0, 0.9, 0.5, Interval(0.0, 0.0))
    assert says in advise([plain, row])
    assert (f"loss.logit_adjustment={row.tau:g}." in advise([plain, row])) is (row.change.low > 0)
    # the two cannot be set together
    assert ("instead of sampling." in advise([plain, row], ["sampling"])) is (row.change.low > 0)
    assert "instead" not in advise([plain, row], ["loss.logit_adjustment"])


def test_the_page_shows_it(judged: Make, subject: Make) -> None:
    made = judged(labels=("a", "b", "c"))
    page = render_report(subject(made, adjusted=adjust(made, LEARNED, 1.0), logit_adjustment=0.5)).decode()
    assert "<h2>Rare labels</h2>" in page
    assert "The scores of the validation texts" in page
    assert "trained with τ = 0.5" in page

"""What a label post-processor may not do to a prediction."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sortgate.conformance.findings import CheckError, shown
from sortgate.conformance.subject import Subject
from sortgate.errors import FOREIGN
from sortgate.types import LabelScore, Prediction


def _pairs(subject: Subject) -> Iterator[tuple[Prediction, Prediction]]:
    """Yield predictions and what became of them, where the component answered."""
    for item in subject.core:
        try:
            made = subject.call(subject.component, item)
        except FOREIGN:
            continue
        if isinstance(made, Prediction) and _has_scores(made):
            yield item[0], made


def _has_scores(made: Prediction) -> bool:
    """Whether the scores can be looked at: what they say is this check's matter, what else it is, another's."""
    return isinstance(made.labels, tuple) and all(isinstance(entry, LabelScore) for entry in made.labels)


def _all(subject: Subject, wrong: Callable[[Prediction, Prediction], str | None], advice: str) -> None:
    for before, after in _pairs(subject):
        if (what := wrong(before, after)) is not None:
            raise CheckError(shown(before), f"{what}: {shown(after)}", advice)


def scores(subject: Subject) -> None:
    """Scores are numbers from 0 to 1."""

    def wrong(_: Prediction, after: Prediction) -> str | None:
        values = [after.score, *(entry.score for entry in after.labels)]
        return None if all(0.0 <= value <= 1.0 for value in values) else "a score that is not from 0 to 1"

    _all(subject, wrong, "scores are probabilities: cut or scale what you compute to 0 to 1")


def ranking(subject: Subject) -> None:
    """Labels stand best first, and once each; the label may be another, since rules route texts to a desk, say."""

    def wrong(_: Prediction, after: Prediction) -> str | None:
        values = [entry.score for entry in after.labels]
        names = [entry.label for entry in after.labels]
        if values != sorted(values, reverse=True):
            return "labels that are not sorted best first"
        if len(set(names)) < len(names):
            return "a label that is listed twice"
        return None

    _all(subject, wrong, "sort the labels by score, and list each once")


def truncated(subject: Subject) -> None:
    """How many tokens were cut off stays as it is."""

    def wrong(before: Prediction, after: Prediction) -> str | None:
        return None if after.truncated == before.truncated else f"truncated {after.truncated} for {before.truncated}"

    _all(subject, wrong, "change the prediction with msgspec.structs.replace, which keeps the other fields")


def error(subject: Subject) -> None:
    """A text that has been classified is not turned into one that failed."""

    def wrong(_: Prediction, after: Prediction) -> str | None:
        return None if after.error is None else "a prediction with an error"

    _all(subject, wrong, "raise when you cannot go on, or abstain with label None; Sortgate writes the errors")

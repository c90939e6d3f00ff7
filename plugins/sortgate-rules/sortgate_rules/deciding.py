"""How a rule puts its decision into a prediction: the same way in all of them."""

from __future__ import annotations

from msgspec.structs import replace

from sortgate.types import Prediction


def decide(prediction: Prediction, label: str | None) -> Prediction:
    """Return the prediction with this label.

    The score becomes the one that the classifier gave the label. A label that it does not know has none: then the score
    stays what it was, which says how sure the classifier was of what the rule decided against. ``labels`` stays as it
    is: it is the classifier's ranking, which a rule does not change by deciding.
    """
    if label == prediction.label:
        return prediction
    score = next((entry.score for entry in prediction.labels if entry.label == label), prediction.score)
    return replace(prediction, label=label, score=score)

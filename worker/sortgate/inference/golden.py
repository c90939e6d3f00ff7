"""Golden texts: answers written when a bundle is made and replayed whenever it is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from sortgate.encoded import Encoded
from sortgate.errors import BundleIntegrityError, ComponentError
from sortgate.inference.batching import MAX_ROWS
from sortgate.inference.classifier import Classifier

#: float32 logits may differ this much between machines (other instruction sets add in another order).
LOGIT_TOLERANCE = 1e-3


class GoldenText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of ``golden.jsonl``.

    Attributes:
        text: the text itself.
        ids: its token ids, None for a text that must fail.
        logits: of the text alone in its batch, in the order of the manifest's labels; empty when it must fail.
        label: of the pipeline, post-processors included up to the first that is not ``pure``; None when it fails or
            abstains.
    """

    text: str
    ids: list[int] | None
    logits: list[float]
    label: str | None


def make_golden(classifier: Classifier, texts: Sequence[str]) -> bytes:
    """Return ``golden.jsonl`` for ``texts``: one of several lengths each, and a failing one, is a good choice."""
    lines = []
    for text, item in zip(texts, classifier.text_path.encode(texts), strict=True):
        if isinstance(item, Encoded):
            logits = classifier.logits([item])
            lines.append(GoldenText(text, item.ids, logits[0].tolist(), _label(classifier, logits, item)))
        else:
            lines.append(GoldenText(text, None, [], None))
    return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)


def replay_golden(classifier: Classifier, data: bytes, where: str = "golden.jsonl") -> int:
    """Run the golden texts and compare; returns their number.

    Ids must be equal, and so must the label that the post-processors give for the recorded logits. float32 logits may
    differ by :data:`LOGIT_TOLERANCE`. int8 texts run one by one, and what they decide must be equal wherever the
    recorded logits are further from the border than the manifest's ``logit_margin``.

    Raises:
        BundleIntegrityError: a golden text gives another answer here; ``where``, the line and what differs.
    """
    try:
        lines = [msgspec.json.decode(line, type=GoldenText) for line in data.split(b"\n") if line]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BundleIntegrityError(f"{where}: cannot be read: {' '.join(str(error).split())}") from None
    if not lines:
        raise BundleIntegrityError(f"{where}: no golden texts, so nothing shows that the bundle works here")
    encoded = classifier.text_path.encode([line.text for line in lines])
    good: list[tuple[int, GoldenText, Encoded]] = []
    for number, (line, item) in enumerate(zip(lines, encoded, strict=True), 1):
        if (item.ids if isinstance(item, Encoded) else None) != line.ids:
            raise _differs(where, number, "its token ids differ: a component or its library behaves otherwise")
        if isinstance(item, Encoded):
            if len(line.logits) != len(classifier.labels):
                raise _differs(where, number, "it has another number of labels")
            good.append((number, line, item))
    int8 = classifier.manifest.model.precision == "int8"
    found = classifier.logits([item for _, _, item in good], max_rows=1 if int8 else MAX_ROWS)
    for (number, line, item), row in zip(good, found, strict=True):
        expected = np.array(line.logits)
        if _label(classifier, expected[None, :], item) != line.label:
            raise _differs(where, number, "the label after post-processing differs")
        problem = _int8_problem(classifier, expected, row) if int8 else _float32_problem(expected, row)
        if problem:
            raise _differs(where, number, problem)
    return len(lines)


def failing_component(classifier: Classifier, data: bytes) -> str | None:
    """Return what a component's failure on a golden text says, None when none fails; the model is not run.

    Golden texts are known to be good, so that a failure on them is the component's and not the text's.
    """
    lines = [msgspec.json.decode(line, type=GoldenText) for line in data.split(b"\n") if line]
    lines = [line for line in lines if line.ids is not None]
    path = classifier.text_path
    for line, item in zip(lines, path.encode([line.text for line in lines]), strict=True):
        if isinstance(item, ComponentError):
            return str(item)
        if isinstance(item, Encoded):
            made = classifier.scorer.predict(np.array(line.logits)[None, :], [item.truncated])
            error = path.postprocess(made, [item])[0].error
            if error is not None:
                return error.message
    return None


def _label(classifier: Classifier, logits: npt.NDArray[Any], item: Encoded) -> str | None:
    made = classifier.scorer.predict(logits, [item.truncated])
    return classifier.text_path.postprocess(made, [item], repeatable=True)[0].label


def _float32_problem(expected: npt.NDArray[Any], found: npt.NDArray[Any]) -> str | None:
    difference = float(np.abs(found - expected).max())
    return None if difference <= LOGIT_TOLERANCE else f"its logits differ by {difference:.3g}"


def _int8_problem(classifier: Classifier, expected: npt.NDArray[Any], found: npt.NDArray[Any]) -> str | None:
    """Compare decisions, since int8 logits move with the machine's instructions."""
    margin = classifier.manifest.model.logit_margin or 0.0
    if not np.isfinite(found).all():
        return "its logits are not finite"
    if classifier.manifest.task == "multi_label":
        with np.errstate(divide="ignore"):
            border = classifier.manifest.temperature * -np.log(1.0 / classifier.scorer.thresholds - 1.0)
        clear = np.abs(expected - border) > margin
        return "a label differs" if ((expected >= border) != (found >= border))[clear].any() else None
    second, best = np.sort(expected)[-2:]
    return "its label differs" if best - second > margin and found.argmax() != expected.argmax() else None


def _differs(where: str, number: int, what: str) -> BundleIntegrityError:
    return BundleIntegrityError(
        f"{where}: golden text {number} gives another answer here than when the bundle was written: {what}; "
        "install the library versions that `sortgate bundle inspect` lists, or export the bundle again"
    )

"""Golden texts: answers written when a bundle is made and replayed whenever it is loaded."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from sortgate.errors import BundleIntegrityError
from sortgate.inference.classifier import Classifier
from sortgate.textpath import Encoded

#: float32 logits may differ this much between machines (other instruction sets add in another order).
LOGIT_TOLERANCE = 1e-3


class GoldenText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of ``golden.jsonl``; ``ids`` is None for a text that must fail, ``label`` the label of the top logit."""

    text: str
    ids: list[int] | None
    logits: list[float]
    label: str | None


def make_golden(classifier: Classifier, texts: Sequence[str]) -> bytes:
    """Return ``golden.jsonl`` for ``texts``."""
    lines = []
    for text, item in zip(texts, classifier.text_path.encode(texts), strict=True):
        if isinstance(item, Encoded):
            logits = classifier.logits([item])[0]
            lines.append(GoldenText(text, item.ids, logits.tolist(), classifier.labels[int(logits.argmax())]))
        else:
            lines.append(GoldenText(text, None, [], None))
    return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)


def replay_golden(classifier: Classifier, data: bytes, where: str = "bundle") -> int:
    """Run the golden texts and compare; returns their number.

    Ids must be equal. float32 logits must be equal to within :data:`LOGIT_TOLERANCE`; int8 texts run one by one,
    and their labels must be equal where the two best logits are further apart than the manifest's ``logit_margin``.

    Raises:
        BundleIntegrityError: a golden text gives another answer here; says which line and what differs.
    """
    try:
        lines = [msgspec.json.decode(line, type=GoldenText) for line in data.splitlines() if line]
    except msgspec.MsgspecError as error:
        raise BundleIntegrityError(f"{where}: golden.jsonl cannot be read: {error}") from None
    int8 = classifier.manifest.model.precision == "int8"
    encoded = classifier.text_path.encode([line.text for line in lines])
    for number, (line, item) in enumerate(zip(lines, encoded, strict=True), 1):
        ids = item.ids if isinstance(item, Encoded) else None
        if ids != line.ids:
            raise _differs(where, number, "its token ids differ: a library or plugin behaves otherwise than in training")
    good = [item for item in encoded if isinstance(item, Encoded)]
    if not good:
        return len(lines)
    logits = classifier.logits(good, max_rows=1 if int8 else None)
    expected = [(number, line) for number, line in enumerate(lines, 1) if line.ids is not None]
    for (number, line), row in zip(expected, logits, strict=True):
        if len(line.logits) != len(row):
            raise _differs(where, number, "it has another number of labels")
        difference = float(np.abs(row - np.array(line.logits, dtype=np.float32)).max())
        if not int8 and not difference <= LOGIT_TOLERANCE:
            raise _differs(where, number, f"its logits differ by {difference:.3g}")
        best = sorted(line.logits)
        margin = best[-1] - best[-2]
        if int8 and margin > (classifier.manifest.model.logit_margin or 0.0) and (
            classifier.labels[int(row.argmax())] != line.label
        ):
            raise _differs(where, number, "its label differs")
    return len(lines)


def _differs(where: str, number: int, what: str) -> BundleIntegrityError:
    return BundleIntegrityError(
        f"{where}: golden text {number} gives another answer here than when the bundle was written: {what}"
    )

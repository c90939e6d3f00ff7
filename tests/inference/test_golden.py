"""Golden texts: written answers are found again, and whatever differs is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from sortgate import Classifier
from sortgate.bundle import ModelInfo
from sortgate.errors import BundleIntegrityError
from sortgate.inference.golden import make_golden, replay_golden

TEXTS = ["hello world", "please help me with word7 and word8", "word3 " * 500, ""]


@pytest.fixture
def golden(toy_classifier: Classifier) -> list[dict[str, Any]]:
    return [json.loads(line) for line in make_golden(toy_classifier, TEXTS).splitlines()]


def lines(golden: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in golden)


def change(number: int, **fields: Any) -> Callable[[list[dict[str, Any]]], None]:
    return lambda golden: golden[number].update(fields)


def add_to_logits(amount: float) -> Callable[[list[dict[str, Any]]], None]:
    def shift(golden: list[dict[str, Any]]) -> None:
        golden[1]["logits"] = [value + amount for value in golden[1]["logits"]]

    return shift


def test_replays_what_it_wrote(toy_classifier: Classifier, golden: list[dict[str, Any]]) -> None:
    assert replay_golden(toy_classifier, lines(golden)) == 4
    assert golden[3] == {"text": "", "ids": None, "logits": [], "label": None}
    assert len(golden[2]["ids"]) == 400
    assert golden[0]["label"] == toy_classifier(TEXTS[:1])[0].label


def test_small_differences_between_machines_are_fine(toy_classifier: Classifier, golden: list[dict[str, Any]]) -> None:
    add_to_logits(9e-4)(golden)
    replay_golden(toy_classifier, lines(golden))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (change(0, ids=[2, 3, 4]), "golden text 1 .*token ids differ"),
        (change(3, ids=[1], logits=[0, 0, 1], label="other"), "golden text 4 .*token ids differ"),
        (change(1, text=""), "golden text 2 .*token ids differ"),
        (add_to_logits(2e-3), "golden text 2 .*logits differ by 0.002"),
        (change(1, logits=[0.0, 1.0]), "golden text 2 .*another number of labels"),
        (change(0, label="nothing"), "golden text 1 .*label after post-processing differs"),
        (change(0, label=5), "cannot be read"),
        (change(0, more=1), "cannot be read"),
        (list.clear, "no golden texts"),
    ],
)
def test_differences_are_named(
    toy_classifier: Classifier, golden: list[dict[str, Any]], spoil: Callable[[Any], None], says: str
) -> None:
    spoil(golden)
    with pytest.raises(BundleIntegrityError, match=f"here/golden.jsonl: .*{says}|here/golden.jsonl: {says}") as caught:
        replay_golden(toy_classifier, lines(golden), where="here/golden.jsonl")
    assert "\n" not in str(caught.value)
    assert "word7" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xff\n", b"[" * 20_000, b'{"text": 1}\n'])
def test_unreadable_files_are_refused(toy_classifier: Classifier, data: bytes) -> None:
    with pytest.raises(BundleIntegrityError):
        replay_golden(toy_classifier, data)


class Int8(Classifier):
    """The same classifier with an int8 manifest, counting the rows of its model calls."""

    rows: list[int]


def as_int8(classifier: Classifier, margin: float, **fields: Any) -> Int8:
    manifest = msgspec.structs.replace(
        classifier.manifest, model=ModelInfo(precision="int8", flip_rate=0.001, logit_margin=margin), **fields
    )
    made = Int8(classifier.text_path, classifier.session, manifest)
    made.rows = []
    logits = made.logits

    def counted(encoded: Any, max_rows: int = 32) -> Any:
        made.rows.append(max_rows)
        return logits(encoded, max_rows)

    made.logits = counted  # type: ignore[method-assign]
    return made


def test_int8_is_replayed_one_by_one_and_compared_by_label(
    toy_classifier: Classifier, golden: list[dict[str, Any]]
) -> None:
    add_to_logits(0.3)(golden)  # moves all logits alike: the label stays
    classifier = as_int8(toy_classifier, 0.05)
    replay_golden(classifier, lines(golden))
    assert classifier.rows == [1]


def test_int8_labels_must_agree_where_the_margin_is_clear(
    toy_classifier: Classifier, golden: list[dict[str, Any]]
) -> None:
    logits = golden[0]["logits"]
    lead = max(logits) - sorted(logits)[-2]
    golden[0]["logits"] = (np.array(logits)[[1, 2, 0]]).tolist()
    golden[0]["label"] = toy_classifier.labels[int(np.argmax(golden[0]["logits"]))]
    with pytest.raises(BundleIntegrityError, match="its label differs"):
        replay_golden(as_int8(toy_classifier, lead * 0.9), lines(golden))
    replay_golden(as_int8(toy_classifier, lead * 1.1), lines(golden))


def test_int8_multi_label_decisions(toy_classifier: Classifier) -> None:
    classifier = as_int8(toy_classifier, 0.1, task="multi_label", thresholds={"other": 0.9})
    golden = [json.loads(line) for line in make_golden(classifier, TEXTS).splitlines()]
    replay_golden(classifier, lines(golden))
    golden[0]["logits"][0] = -golden[0]["logits"][0]
    golden[0]["label"] = None
    with pytest.raises(BundleIntegrityError):
        replay_golden(classifier, lines(golden))

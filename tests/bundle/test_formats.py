"""Bundles of every format version ever released keep loading and keep giving the answers they were written with."""

from __future__ import annotations

from pathlib import Path

import pytest

from sortgate import Classifier
from sortgate.bundle import FORMAT_VERSION, Bundle
from sortgate.bundle.manifest import READABLE_VERSIONS
from sortgate.inference.golden import replay_golden

DATA = Path(__file__).parent / "data"
BUNDLES = sorted(path for path in DATA.glob("format-*/*") if path.is_dir())


@pytest.mark.parametrize("path", BUNDLES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_committed_bundle_loads_and_answers_as_written(path: Path) -> None:
    classifier = Classifier.load(path)
    assert classifier.bundle is not None
    assert replay_golden(classifier, classifier.bundle.read("golden.jsonl")) == 6
    assert classifier(["my password does not work"])[0].error is None


def test_every_readable_format_has_a_committed_bundle() -> None:
    committed = {int(path.parent.name.removeprefix("format-")) for path in BUNDLES}
    assert committed == READABLE_VERSIONS
    assert FORMAT_VERSION in READABLE_VERSIONS
    for path in BUNDLES:
        assert Bundle.open(path).manifest.format_version == int(path.parent.name.removeprefix("format-"))


def test_committed_bundles_stay_small() -> None:
    assert sum(file.stat().st_size for file in DATA.rglob("*") if file.is_file()) < 100_000

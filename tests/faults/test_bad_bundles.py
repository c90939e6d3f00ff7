"""M1: bundles that are damaged or made to do harm end in one line, before ONNX Runtime is given a model."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bad_models import BAD, model
from damage import DAMAGE, edit_manifest, reseal
from session_spy import spy_on_sessions
from sortgate import Classifier, cli
from sortgate.bundle import ANYONE, Bundle
from sortgate.errors import BundleError


@pytest.fixture
def version(toy_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the toy bundle's version folder, to be spoilt."""
    source = Bundle.open(toy_bundle, trust=ANYONE).path
    return shutil.copytree(source, tmp_path / "toy" / source.name)


def cut_the_model(folder: Path) -> None:
    data = (folder / "model.onnx").read_bytes()
    reseal(folder, "model.onnx", data[: len(data) // 2])


def vocabulary_of_another_training(folder: Path) -> None:
    reseal(folder, "vocabulary.txt", (folder / "vocabulary.txt").read_bytes() + b"one-more\n")


def one_label_more(folder: Path) -> None:
    edit_manifest(folder, lambda manifest: manifest["labels"].append("another"))


def external_data_beside_the_model(folder: Path) -> None:
    """The weights in a file that the manifest names, with its digest: still refused, a bundle's model is one file."""
    proto = model()
    target = next(item for item in proto.graph.initializer if item.name == "embedding")
    reseal(folder, "weights.bin", target.raw_data)
    target.ClearField("raw_data")
    target.data_location = target.EXTERNAL
    target.external_data.add(key="location", value="weights.bin")
    reseal(folder, "model.onnx", proto.SerializeToString())


def hard_link_to_a_foreign_file(folder: Path) -> None:
    foreign = folder.parent / "foreign"
    foreign.write_bytes(b"root:x:0:0:secret")
    (folder / "vocabulary.txt").unlink()
    os.link(foreign, folder / "vocabulary.txt")


def sealed(case: str) -> Callable[[Path], None]:
    """Put a bad model into the bundle, with its digest, as somebody would who may write to the folder."""

    def spoil(folder: Path) -> None:
        proto = model()
        BAD[case][0](proto)
        reseal(folder, "model.onnx", proto.SerializeToString())

    return spoil


CASES: dict[str, tuple[Callable[[Path], object], str]] = {
    **{f"folder {number}: {says}": (damage, says) for number, (damage, _, says) in enumerate(DAMAGE)},
    "hard link to a foreign file": (hard_link_to_a_foreign_file, "vocabulary.txt: changed"),
    "model cut, digest right": (cut_the_model, "the ONNX model"),
    "wrong vocabulary size": (vocabulary_of_another_training, "the vocabulary has"),
    "wrong number of labels": (one_label_more, "the manifest has 4 labels and the model 3"),
    "external data beside the model": (external_data_beside_the_model, "external data"),
    **{f"model: {case}": (sealed(case), says) for case, (_, says) in BAD.items()},
}


@pytest.mark.parametrize("case", CASES)
def test_refused_before_onnx_runtime_sees_the_model(
    version: Path, case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, says = CASES[case]
    spoil(version)
    sessions = spy_on_sessions(monkeypatch)
    assert cli.run(["classify", str(version), __file__]) == 78
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert len(err.splitlines()) == 1
    assert "secret" not in err
    with pytest.raises(BundleError):
        Classifier.load(version)
    assert sessions == []


def test_the_bundle_unspoilt_reaches_onnx_runtime(version: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the corpus is refused for what was done to it: its base, untouched, fits but for another vocabulary."""
    sessions = spy_on_sessions(monkeypatch)
    Classifier.load(version)
    assert len(sessions) == 1
    reseal(version, "model.onnx", model().SerializeToString())
    with pytest.raises(BundleError, match="the vocabulary has"):
        Classifier.load(version)

"""The second training: validation texts teach, too, and judge only what has not seen them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from refitting import command, train
from sortgate.bundle import Bundle
from sortgate.cli import run
from sortgate.inference import Classifier
from sortgate_training import precision, refit
from sortgate_training.config import MOST_REFIT_TOKENS, ModelConfig, TrainingConfig
from sortgate_training.data import Corpus
from sortgate_training.model import RecurrentClassifier

Rows = list[tuple[str, str]]


def test_validation_texts_teach(first: Path, again: Path) -> None:
    words = ["newcomer newcomer newcomer"]
    assert [made.error for made in Classifier.load(first)(words)] == [None]
    assert b"newcomer" not in (Bundle.open(first).path / "vocabulary.txt").read_bytes()
    assert b"newcomer" in (Bundle.open(again).path / "vocabulary.txt").read_bytes()
    assert [made.label for made in Classifier.load(again)(words)] == ["label b"]
    kept = Bundle.open(again).manifest.metrics
    assert kept["refit"]["texts"] == 520
    assert kept["refit"]["epochs"] == max(1, kept["history"]["best"] // 3)
    assert any("trained on with 520 training and validation texts" in note for note in kept["notes"])
    assert "refit" not in Bundle.open(first).manifest.metrics


def test_each_epoch_of_it_is_told(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(refit, "EPOCHS", 1)
    assert run(command("--out", str(tmp_path / "model"), str(files))) == 0
    told = capsys.readouterr().err
    first, _, second = told.partition("training on, with all 520 training and validation texts, for ")
    epochs = int(second.split()[0])
    assert len(re.findall(r"^epoch \d/4  loss \S+  validation: ", first, re.MULTILINE)) >= epochs
    lines = re.findall(r"^epoch (\d)/(\d)  loss \d\.\d+  [\d,]+ texts/s  \d+ s$", second, re.MULTILINE)
    assert lines == [(str(number), str(epochs)) for number in range(1, epochs + 1)]


@pytest.mark.parametrize(
    ("epochs", "further", "rate"), [(1, 1, 1 / 6), (2, 1, 1 / 3), (3, 1, 0.5), (5, 1, 0.5), (6, 2, 0.5), (20, 6, 0.5)]
)
def test_it_is_a_third_of_the_first_one(epochs: int, further: int, rate: float) -> None:
    network = RecurrentClassifier(ModelConfig(hidden=1, embedding=1, characters=False), 3, 2)
    decided = refit.Decided(network, epochs)
    assert (decided.further, decided.rate) == (further, pytest.approx(rate))


def test_it_goes_on_where_the_first_ended(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a step of next to nothing, texts of words that the first network knows have its answers."""
    monkeypatch.setattr(refit, "RATE", 1e-9)
    one = train(tmp_path / "first", str(files), "--set", "refit=false", "--set", "ngrams.enabled=false")
    other = train(tmp_path / "again", str(files), "--set", "ngrams.enabled=false")
    assert one.files["model.onnx"] != other.files["model.onnx"]
    asked = [text.rsplit(",", 1)[0] for text in (files / "test.csv").read_text().splitlines()[1:]]
    scores = [[made.score for made in Classifier.load(tmp_path / name)(asked)] for name in ("first", "again")]
    assert scores[0] == pytest.approx(scores[1], abs=1e-4)


def learned_from(bundle: Bundle) -> list[int]:
    """Return the report's last column of the first table with one: texts that each label was learned from."""
    table = bundle.read("report.html").decode().partition("learned from")[2].partition("</table>")[0]
    return [int(re.findall(r"<td[^>]*>([^<]*)</td>", row)[-1]) for row in table.split("<tr>")[1:]]


def test_the_report_counts_what_was_learned_from(first: Path, again: Path) -> None:
    for path, parts in ((first, ["train"]), (again, ["train", "validation"])):
        bundle = Bundle.open(path)
        counts = [
            sum(bundle.manifest.data[part]["labels"][label] for part in parts) for label in bundle.manifest.labels
        ]
        assert learned_from(bundle) == counts


def test_what_was_chosen_stays(first: Path, again: Path) -> None:
    one, other = Bundle.open(first).manifest, Bundle.open(again).manifest
    assert one.temperature == other.temperature
    epochs = [[epoch["validation_loss"] for epoch in made.metrics["history"]["epochs"]] for made in (one, other)]
    assert epochs[0] == epochs[1]
    assert one.metrics["calibration"]["validation_ece_after"] == other.metrics["calibration"]["validation_ece_after"]
    errors = [made.metrics["calibration"]["ece_after"] for made in (one, other)]
    assert errors[0] != errors[1], "figures of test texts are of what is served"


def test_without_test_texts_figures_are_of_the_one_that_has_not_seen_the_validation_texts(
    files: Path, tmp_path: Path
) -> None:
    arguments = [str(files / "train.csv"), "--validation", str(files / "validation.csv"), "--set", "split.test=0"]
    one, other = (train(tmp_path / value, *arguments, "--set", f"refit={value}") for value in ("false", "true"))
    assert one.files["model.onnx"] != other.files["model.onnx"]
    assert one.metrics["validation"] == other.metrics["validation"]
    assert any("all figures are of the one before" in note for note in other.metrics["notes"])


@pytest.mark.parametrize("more", [(), ("--precision", "int8"), ("--set", "ngrams.enabled=false")])
def test_golden_texts_and_precision_are_of_what_is_served(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]
) -> None:
    for name in ("MAX_FLIP_RATE", "MAX_LOSS"):
        monkeypatch.setattr(precision, name, 1.0)  # a network of eight units is no subject for int8
    manifest = train(tmp_path / "toy", str(files), *more)
    assert manifest.model.precision == ("int8" if "int8" in more else "float32")
    assert manifest.metrics["refit"]["texts"] == 520
    measured = ", and what int8 changes, are of the one before"
    assert any(measured in note for note in manifest.metrics["notes"]) == ("int8" in more)
    if "int8" in more:
        served = manifest.metrics["precision"]["second_training"]
        assert served["texts"] == 200, "validation and test texts"
        assert manifest.model.flip_rate == served["flip_rate"]
        assert manifest.model.logit_margin == served["logit_margin"] > 0
    judged = manifest.metrics["test"]
    classifier = Classifier.load(tmp_path / "toy")  # answers the golden texts, or refuses to load
    texts, labels = zip(
        *(line.rsplit(",", 1) for line in (files / "test.csv").read_text().splitlines()[1:]), strict=True
    )
    right = [made.label == label for made, label in zip(classifier(texts), labels, strict=True)]
    assert sum(right) / len(right) == pytest.approx(judged["accuracy"])


def test_int8_that_depends_on_the_batch_is_not_served(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = iter([(0, 0.0), (2, 0.1)])  # of the first training's model, and of the second's: 1 % of 200 texts
    monkeypatch.setattr(precision, "_count_flips", lambda *_: next(counts))
    monkeypatch.setattr(precision, "MAX_LOSS", 1.0)
    manifest = train(tmp_path / "toy", str(files), "--precision", "int8")
    assert (manifest.model.precision, manifest.model.flip_rate) == ("int8", 0.0)
    assert "refit" not in manifest.metrics
    words = "1.00% of its int8 answers to 200 texts depend on the batch, where 0.3% may"
    assert any(words in note and "the first one is served" in note for note in manifest.metrics["notes"])


def test_sets_of_labels(tmp_path: Path, rows: Callable[..., Rows], write_rows: Callable[[Path, Rows], Path]) -> None:
    for seed, name in enumerate(("train", "validation", "test")):
        made = [
            (text, "label a|label b" if number % 3 else label)
            for number, (text, label) in enumerate(rows(200, seed=seed))
        ]
        write_rows(tmp_path / f"{name}.csv", made)
    arguments = [str(tmp_path), "--label-separator", "|"]
    one, other = (train(tmp_path / "out" / value, *arguments, "--set", f"refit={value}") for value in ("false", "true"))
    assert one.thresholds == other.thresholds
    assert one.files["model.onnx"] != other.files["model.onnx"]
    assert other.metrics["refit"]["texts"] == 400


@pytest.mark.parametrize(
    ("more", "again"), [((), True), (("--set", "refit=false"), False), (("--set", "split.test=0"), False)]
)
def test_baselines_of_sets_of_labels_learn_from_the_same_texts(
    tmp_path: Path, rows: Callable[..., Rows], write_rows: Callable[[Path, Rows], Path],
    monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...], again: bool,
) -> None:  # fmt: skip
    made = [(text, "label a|label b" if number % 3 else label) for number, (text, label) in enumerate(rows(200))]
    data = write_rows(tmp_path / "train.csv", made)
    seen: list[tuple[int, int, bool]] = []

    def spy(learned: Corpus, *_: object, held_out: Corpus, again: bool, **__: object) -> tuple[list[Any], str]:
        seen.append((len(learned), len(held_out), again))
        return [], ""

    monkeypatch.setattr("sortgate_training.finish.train_baselines", spy)
    arguments = [part for part in command("--out", str(tmp_path / "toy"), str(data)) if part != "--no-baselines"]
    assert run([*arguments, "--quiet", "--label-separator", "|", *more]) == 0
    kept = Bundle.open(tmp_path / "toy").manifest
    assert seen == [(kept.data["train"]["texts"], kept.data["validation"]["texts"], again)]


def test_test_texts_among_the_validation_texts_do_not_teach(
    tmp_path: Path,
    rows: Callable[..., Rows],
    write_rows: Callable[[Path, Rows], Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = str(write_rows(tmp_path / "train.csv", rows(200)))
    arguments = command("--out", str(tmp_path / "toy"), data, "--validation", data)
    assert run(arguments) == 0
    said = capsys.readouterr().err
    kept = Bundle.open(tmp_path / "toy").manifest
    judged = kept.data["test"]["texts"]
    assert f"train.csv: {judged} texts are test texts too, and so not learned from" in said
    assert kept.metrics["refit"]["texts"] == kept.data["train"]["texts"] + 200 - judged


@pytest.mark.parametrize(("refit_", "tokens", "expected"), [
    ("auto", MOST_REFIT_TOKENS, True), ("auto", MOST_REFIT_TOKENS + 1, False), (True, 10**9, True), (False, 1, False),
])  # fmt: skip
def test_auto_is_for_what_does_not_take_long(refit_: Any, tokens: int, expected: bool) -> None:
    assert TrainingConfig(refit=refit_).refits(tokens) is expected


def test_there_is_none_where_all_validation_texts_are_test_texts(files: Path, tmp_path: Path) -> None:
    test = str(files / "test.csv")
    metrics = train(tmp_path / "toy", str(files / "train.csv"), "--validation", test, "--test", test).metrics
    assert "refit" not in metrics
    assert any(note.startswith("no validation text may be learned from") for note in metrics["notes"])


def test_a_time_budget_leaves_it_out(files: Path, tmp_path: Path) -> None:
    metrics = train(tmp_path / "toy", str(files), "--time-budget", "2m", "--set", "refit=true").metrics
    assert "refit" not in metrics
    assert "refit=true: there is no second training within a time budget" in metrics["notes"]


def test_the_bundle_keeps_what_the_second_training_began_with(files: Path, tmp_path: Path) -> None:
    vectors = tmp_path / "vectors.txt"
    vectors.write_text("newcomer 0.5 0.1 0.2\nword1 1 2 3\n")
    arguments = [str(files), "--vectors", str(vectors), "--set", "model.embedding=3"]
    manifest = train(tmp_path / "toy", *arguments)
    assert "refit" in manifest.metrics
    assert manifest.training["vectors"]["tokens"] == 2, "one of them is of the validation texts"

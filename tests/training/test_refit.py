"""The second training: validation texts teach, too, and judge only what has not seen them.

Nothing that goes wrong in it costs the classifier of the first.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sortgate.bundle import Bundle, Manifest
from sortgate.cli import run
from sortgate.errors import TrainingError
from sortgate.inference import Classifier
from sortgate_training import checkpoint, precision, refit
from sortgate_training import run as run_module
from sortgate_training.config import MOST_REFIT_TOKENS, TrainingConfig
from sortgate_training.data import Corpus
from sortgate_training.interrupt import stop_on_signals
from sortgate_training.joining import weigh_and_join
from sortgate_training.runfolder import RunFolder

Rows = list[tuple[str, str]]
SETTINGS = ("model.hidden=8", "model.embedding=16", "batch_size=16", "optimizer.learning_rate=0.02", "patience=9")


def command(*arguments: str) -> list[str]:
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    return ["train", "--threads", "1", "--epochs", "4", "--no-baselines", *settings, *arguments]


@pytest.fixture(scope="module")
def files(
    tmp_path_factory: pytest.TempPathFactory, rows: Callable[..., Rows], write_rows: Callable[[Path, Rows], Path]
) -> Path:
    """A folder whose validation texts alone know the word ``newcomer``, of label b."""
    folder = tmp_path_factory.mktemp("files")
    write_rows(folder / "train.csv", rows(400))
    known = [
        (f"{text} newcomer newcomer", label) if label == "label b" else (text, label)
        for text, label in rows(120, seed=1)
    ]
    write_rows(folder / "validation.csv", known)
    write_rows(folder / "test.csv", rows(80, seed=2))
    return folder


def train(out: Path, *arguments: str) -> Manifest:
    assert run(command("--out", str(out), "--quiet", *arguments)) == 0
    return Bundle.open(out).manifest


@pytest.fixture(scope="module")
def first(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("first") / "toy"
    train(out, str(files), "--set", "refit=false")
    return out


@pytest.fixture(scope="module")
def again(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("again") / "toy"
    train(out, str(files))
    return out


def test_validation_texts_teach(first: Path, again: Path) -> None:
    words = ["newcomer newcomer newcomer"]
    assert [made.error for made in Classifier.load(first)(words)] == [None]
    assert b"newcomer" not in (Bundle.open(first).path / "vocabulary.txt").read_bytes()
    assert b"newcomer" in (Bundle.open(again).path / "vocabulary.txt").read_bytes()
    assert [made.label for made in Classifier.load(again)(words)] == ["label b"]
    kept = Bundle.open(again).manifest.metrics
    assert kept["refit"]["texts"] == 520
    assert kept["refit"]["epochs"] == kept["history"]["best"]
    assert any("trained again from 520 training and validation texts" in note for note in kept["notes"])
    assert "refit" not in Bundle.open(first).manifest.metrics


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


@pytest.mark.parametrize("error", [TrainingError("no luck"), MemoryError(), KeyboardInterrupt()])
def test_when_it_comes_to_nothing_the_first_is_served(
    files: Path, first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], error: BaseException,
) -> None:  # fmt: skip
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(refit, "fit", fail)
    assert run(command("--out", str(tmp_path / "toy"), str(files))) == 0
    said = capsys.readouterr().err
    assert "the classifier of the first one is served" in said
    manifest = Bundle.open(tmp_path / "toy").manifest
    assert manifest.files["model.onnx"] == Bundle.open(first).manifest.files["model.onnx"]
    assert "refit" not in manifest.metrics
    assert any("the classifier of the first one is served" in note for note in manifest.metrics["notes"])


def test_a_second_ctrl_c_in_it_ends_all(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def insist(*_: object) -> None:
        with stop_on_signals():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(refit, "fit", insist)
    assert run(command("--out", str(tmp_path / "toy"), str(files))) == 130
    assert "there is no bundle yet; --resume goes on with" in capsys.readouterr().err
    assert not list((tmp_path / "toy").glob("2*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_the_first_training_leaves_out_the_second(
    files: Path, first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def weigh(*arguments: Any) -> Any:
        os.kill(os.getpid(), number)
        return weigh_and_join(*arguments)

    monkeypatch.setattr(run_module, "weigh_and_join", weigh)
    manifest = train(tmp_path / "toy", str(files))
    assert manifest.files["model.onnx"] == Bundle.open(first).manifest.files["model.onnx"]
    assert any("there was no second training" in note for note in manifest.metrics["notes"])


def test_a_second_signal_says_how_to_get_the_bundle(
    files: Path, again: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)

    arguments = command("--out", str(tmp_path / "toy"), str(files))
    with monkeypatch.context() as patched:
        patched.setattr(run_module, "finish", stop)
        assert run(arguments) == 130
    assert f"there is no bundle yet; --resume goes on with {tmp_path / 'toy' / '.run'}" in capsys.readouterr().err
    assert run([*arguments, "--resume"]) == 0
    model = Bundle.open(tmp_path / "toy").manifest.files["model.onnx"]
    assert model == Bundle.open(again).manifest.files["model.onnx"]


def test_one_signal_leaves_out_the_baselines_and_not_the_bundle(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sortgate_training.report.baselines._answer", lambda *_: os.kill(os.getpid(), signal.SIGINT))
    arguments = [part for part in command("--out", str(tmp_path / "toy"), str(files)) if part != "--no-baselines"]
    assert run([*arguments, "--quiet", "--set", "refit=false"]) == 0
    notes = Bundle.open(tmp_path / "toy").manifest.metrics["notes"]
    assert "the remaining baselines were skipped by Ctrl-C" in notes


def test_the_bundle_keeps_what_the_second_training_began_with(files: Path, tmp_path: Path) -> None:
    vectors = tmp_path / "vectors.txt"
    vectors.write_text("newcomer 0.5 0.1 0.2\nword1 1 2 3\n")
    arguments = [str(files), "--vectors", str(vectors), "--set", "model.embedding=3"]
    manifest = train(tmp_path / "toy", *arguments)
    assert "refit" in manifest.metrics
    assert manifest.training["vectors"]["tokens"] == 2, "one of them is of the validation texts"


def test_without_a_place_for_its_checkpoints_it_goes_on(
    files: Path, again: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(self: RunFolder) -> None:  # noqa: ARG001 - a method's signature
        raise TrainingError("No space left on device")

    monkeypatch.setattr(RunFolder, "refit", full)
    assert run(command("--out", str(tmp_path / "toy"), str(files))) == 0
    assert "no checkpoint of the second training can be written (No space left" in capsys.readouterr().err
    model = Bundle.open(tmp_path / "toy").manifest.files["model.onnx"]
    assert model == Bundle.open(again).manifest.files["model.onnx"]


def process_of(arguments: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as file:
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        return subprocess.Popen(
            [sys.executable, "-m", "sortgate", *arguments], stdout=file, stderr=file, env=environment
        )


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.005)


def test_ctrl_c_in_it_exports_the_first(files: Path, first: Path, tmp_path: Path) -> None:
    out, log = tmp_path / "toy", tmp_path / "log"
    process = process_of(command("--out", str(out), str(files), "--checkpoint-every", "0"), log)
    try:
        wait_for((out / ".run" / "refit" / checkpoint.NAME).exists, process, log)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()
    assert "the second training was stopped; the classifier of the first one is served" in log.read_text()
    assert Bundle.open(out).manifest.files["model.onnx"] == Bundle.open(first).manifest.files["model.onnx"]
    assert not (out / ".run" / "refit").exists()


def test_killed_in_it_the_model_is_the_same(files: Path, again: Path, tmp_path: Path) -> None:
    out, log = tmp_path / "toy", tmp_path / "log"
    arguments = command("--out", str(out), str(files), "--checkpoint-every", "0")
    process = process_of(arguments, log)
    try:
        wait_for((out / ".run" / "refit" / checkpoint.NAME).exists, process, log)
    finally:
        process.kill()
        process.wait()
    process = process_of([*arguments, "--resume"], log)
    assert process.wait(120) == 0, log.read_text()
    assert "going on with the second training after epoch" in log.read_text()
    one, other = Bundle.open(again).manifest, Bundle.open(out).manifest
    assert one.files["model.onnx"] == other.files["model.onnx"]
    assert one.metrics["test"] == other.metrics["test"]
    assert not (out / ".run" / "refit").exists(), "a finished run leaves no checkpoint"

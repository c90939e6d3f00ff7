"""``sortgate train`` and ``sortgate evaluate`` from end to end, and every kind of bad input."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from small import QUICK
from sortgate.bundle import Bundle
from sortgate.cli import run
from sortgate.inference import Classifier

Rows = list[tuple[str, str]]
LEARN = (*QUICK, "--set", "optimizer.learning_rate=0.02", "--epochs", "6")


@pytest.fixture(scope="module")
def files(
    tmp_path_factory: pytest.TempPathFactory,
    rows: Callable[..., Rows],
    write_rows: Callable[[Path, Rows], Path],
) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_rows(folder / "train.csv", rows(400))
    write_rows(folder / "test.csv", [*rows(100, seed=1), ("", "label a"), (" \u200b ", "label a")])
    return folder


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_train_then_evaluate_then_classify(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], cell: str
) -> None:
    out = tmp_path / "models" / "toy"
    assert run(["train", str(files), "--out", str(out), "--cell", cell, "--json", *LEARN]) == 0
    captured = capsys.readouterr()
    trained = json.loads(captured.out)
    assert trained["metrics"]["accuracy"] > 0.8
    assert trained["judged_on"] == "test"
    assert trained["largest_logit_difference"] <= 1e-4
    assert "test.csv: 1 of 102 rows have no text: dropped" in captured.err
    assert "359 train, 41 validation, 101 test texts, 3 labels" in captured.err
    assert captured.err.count("\nepoch ") == trained["epochs"] >= 4

    bundle = Bundle.open(out)
    manifest = bundle.manifest
    assert str(bundle.path) == trained["bundle"]
    assert (manifest.name, manifest.model.cell, manifest.model.precision) == ("toy", cell, "float32")
    assert manifest.labels == ["label a", "label b", "label c"]
    assert manifest.training["model"]["hidden"] == 8
    assert manifest.data["test"]["empty"] == 1
    assert manifest.data["train"]["file"] == "train.csv"
    assert manifest.provided_by["torch"]
    page = bundle.read("report.html").decode()
    assert "label a" in page
    assert f"sortgate train {files.name} --out toy --set" in page
    assert f"--cell {cell} --epochs 6 --threads 1 --json" in page
    card = bundle.read("card.md").decode()
    for written in (page, card):
        assert str(tmp_path.parent) not in written
        assert str(files.parent) not in written
    assert trained["baselines"].keys() == {"B1", "B2"}
    assert trained["baselines"]["B1"]["accuracy"] > 0.8
    for name, value in (("accuracy", "accuracy"), ("macro_f1", "macro_f1")):
        low, high = trained["intervals"][name]
        assert low < trained["metrics"][value] < high
    assert trained["calibration"].keys() >= {"ece_before", "ece_after", "validation_ece_after"}
    assert trained["calibration"] == manifest.metrics["calibration"]
    assert trained["texts_per_s"] > 0
    assert str(tmp_path) not in (bundle.path / "manifest.json").read_text()
    assert str(files) not in (bundle.path / "manifest.json").read_text()

    assert run(["evaluate", str(out), str(files), "--json"]) == 0
    judged = json.loads(capsys.readouterr().out)
    assert {key: judged[key] for key in trained["metrics"]} == trained["metrics"]
    assert judged["errors"] == 1  # nothing is left of that text
    prediction = Classifier.load(out)(["a1 a2 a3 a4 word1"])[0]
    assert prediction.label == "label a"


def test_the_table_is_for_people(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "toy"
    assert run(["train", str(files / "train.csv"), "--out", str(out), "--quiet", "--epochs", "1", *QUICK]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert captured.err == ""
    assert lines[0].split("\t") == ["label", "precision", "recall", "F1", "texts"]
    assert [line.split("\t")[0] for line in lines[1:5]] == ["label a", "label b", "label c", "macro average"]
    assert lines[-2].startswith("accuracy ")
    assert lines[-1] == f"bundle: {Bundle.open(out).path}"
    assert run(["evaluate", str(out), str(files / "test.csv")]) == 0
    captured = capsys.readouterr()
    assert "test.csv: 1 texts cannot be classified: they count as wrong" in captured.err
    assert "1 unanswered" in captured.out


def test_the_same_seed_gives_the_same_model_and_a_new_version(files: Path, tmp_path: Path) -> None:
    arguments = ["train", str(files / "train.csv"), "--epochs", "2", "--quiet", *QUICK]
    for name, seed in (("x", "3"), ("x", "3"), ("y", "4")):
        assert run([*arguments, "--out", str(tmp_path / name), "--seed", seed]) == 0
    versions = sorted(path.name for path in (tmp_path / "x").iterdir() if path.name != ".run")
    assert len(versions) == 2
    models = [Bundle.open(tmp_path / "x" / version).manifest for version in versions]
    other = Bundle.open(tmp_path / "y").manifest
    assert models[0].files["model.onnx"] == models[1].files["model.onnx"] != other.files["model.onnx"]
    assert models[0].metrics["test"] == models[1].metrics["test"]


def test_one_thread_and_two_give_the_same_model(files: Path, tmp_path: Path) -> None:
    models = []
    for threads in ("1", "2"):
        out = tmp_path / threads
        arguments = ["train", str(files / "train.csv"), "--out", str(out), "--epochs", "2", "--quiet", *QUICK]
        assert run([*arguments, "--threads", threads]) == 0  # the last one given counts
        models.append(Bundle.open(out).read("model.onnx"))
    assert models[0] == models[1]


def test_a_configured_text_path_is_recorded_with_its_state(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "c.toml"
    config.write_text(
        "epochs = 1\n[text]\ntokenizer = {name = 'sortgate.bpe.v1', params = {vocab_size = 300}}\n"
        "postprocessors = [{name = 'sortgate.rename.v1', params = {labels = {'label a' = 'first'}}}]\n"
    )
    out = tmp_path / "toy"
    arguments = ["--out", str(out), "--config", str(config), "--json", "--test", str(files / "test.csv"), *QUICK]
    assert run(["train", str(files / "train.csv"), *arguments]) == 0
    manifest = Bundle.open(out).manifest
    assert manifest.text.tokenizer.params == {"vocab_size": 300}
    assert manifest.text.tokenizer.state in manifest.files
    assert json.loads(capsys.readouterr().out)["epochs"] == 1
    assert {score.label for score in Classifier.load(out)(["a1 word2"])[0].labels} == {"first", "label b", "label c"}


def test_what_the_report_says_is_a_choice(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "toy"
    options = ["--no-baselines", "--set", "report.examples=false", "--json", "--epochs", "1", *QUICK]
    assert run(["train", str(files), "--out", str(out), *options]) == 0
    trained = json.loads(capsys.readouterr().out)
    assert trained["baselines"] == {}
    assert "no baselines were trained: report.baselines is false" in trained["notes"]
    page = Bundle.open(out).read("report.html").decode()
    assert "Beside baselines" not in page
    with (files / "test.csv").open(newline="") as file:
        texts = {row["text"] for row in csv.DictReader(file)} - {"", " \u200b "}
    assert not [text for text in texts if text in page]


def test_a_vocabulary_without_words(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rare = ["--set", "vocabulary.min_count=100000"]
    assert run(["train", str(files), "--out", str(tmp_path / "toy"), "--quiet", *rare, *QUICK]) not in {0, None}
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.endswith("no token occurs 100000 times; lower vocabulary.min_count")
    assert not list((tmp_path / "toy").glob("2*"))


@pytest.mark.parametrize("enough", [True, False])
def test_int8(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, enough: bool
) -> None:
    out = tmp_path / "toy"
    if enough:
        monkeypatch.setattr("sortgate_training.precision.LEAST_TEXTS", 41)
    assert run(["train", str(files), "--out", str(out), "--precision", "auto", "--json", *LEARN]) == 0
    captured = capsys.readouterr()
    trained = json.loads(captured.out)
    bundle = Bundle.open(out)
    kept = bundle.manifest.metrics["precision"]
    assert trained["precision"] == bundle.manifest.model.precision == kept["served"]
    words = "int8 changes the accuracy of 41 validation texts by" if enough else "41 validation texts are too few"
    assert f"{kept['served']} is served: {words}" in kept["reason"]
    for place in (captured.err, bundle.read("report.html").decode(), bundle.read("card.md").decode()):
        assert kept["reason"] in " ".join(place.split()).replace("\\", "")
    if kept["served"] == "int8":
        assert bundle.manifest.model.flip_rate == kept["flip_rate"] <= 0.003
    Classifier.load(out)  # replays the golden texts


def refuse(arguments: list[str], says: str, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Expect one line, another exit status than 0, and nothing left behind."""
    parent = sorted(out.parent.iterdir())
    assert run([*arguments, "--out", str(out), "--quiet", *QUICK]) not in {0, None}
    captured = capsys.readouterr()
    assert captured.err.startswith("sortgate: error: ")
    assert captured.err.count("\n") == 1
    assert says in captured.err
    assert captured.out == ""
    assert sorted(out.parent.iterdir()) == parent


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        (b"", "the file is empty"),
        (b"text,label\n", "no rows"),
        (b"a,b,c\n1,2,3\n", "there are 'a', 'b', 'c'"),
        (b"text,label,label\nx,a,b\ny,b,a\n", "2 columns are called 'label'; rename the others"),
        (b"text,label\nx,a\ny,a\n", "only one label, 'a'"),
        (b"text,label\nx,a\ny,a\nz,b\n", "one example only for label 'b'"),
        (b"text,label\n,a\n,b\n", "no labelled text"),
        (b"text,label\nx,a\ny\xe9,b\n", "row 2 (line 3) is not UTF-8"),
        (b"text,label\nx,a\ny,b,c\n", "row 2 (line 3) has 3 fields"),
        (b'text,label\nx,a\n"y,b\n', "row 2 (line 3)"),
        (b"text,label\n!,a\n?,a\n\xe2\x80\x8b,b\n\xe2\x80\x8b\xe2\x80\x8b,b\n", "no text of label 'b' is left"),
    ],
)
def test_bad_data_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, says: str
) -> None:
    data = tmp_path / "data.csv"
    if content is not None:
        data.write_bytes(content)
    refuse(["train", str(data)], says, tmp_path / "toy", capsys)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--text-column", "body"], "no column 'body' (--text-column); there are 'text', 'label'"),
        (["--text-column", "label", "--label-column", "label"], "name the same column, 'label'; there are 'text', "),
        (["--set", "model.hiden=3"], "did you mean model.hidden?"),
        (["--epochs", "0"], "epochs: expected `int` >= 1"),
        (["--config", "none.toml"], "none.toml: No such file"),
        (["--cell", "gru", "--precision", "int8"], "no int8 GRU"),
        (["--set", "text.tokenizer=none.v1"], "none.v1"),
        (["--set", "text.tokenizer.name=sortgate.bpe.v1", "--set", "text.tokenizer.params.size=2"], "size"),
        (["--plugins-dir", "none"], "none"),
        (["--test", "none.csv"], "none.csv: No such file"),
        (["--time-budget", "soon"], "'soon' is no time: write 90s, 5m or 1h"),
        (["--resume"], "there is no unfinished run"),
        (["--set", "limits.max_characters=1"], "each is longer than limits.max_text_bytes or limits.max_characters"),
        pytest.param(
            ["--device", "cuda"],
            "sees no CUDA device",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA"),
        ),
    ],
)
def test_bad_options_are_one_line(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    refuse(["train", str(files / "train.csv"), *arguments], says, tmp_path / "toy", capsys)


def test_a_diverging_run_without_a_model_leaves_its_reason(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "toy"
    steep = ["--set", "optimizer.learning_rate=1e30", "--set", "optimizer.gradient_clip=0"]
    assert run(["train", str(files / "train.csv"), "--out", str(out), "--quiet", *steep, *QUICK]) == 1
    assert "the loss became nan" in capsys.readouterr().err
    record = json.loads((out / ".run" / "run.json").read_text())
    assert record["status"] == "failed"
    assert "the loss became nan in epoch 1" in record["reason"]
    assert [path.name for path in out.iterdir()] == [".run"]


def test_a_time_budget_ends_training_with_a_bundle(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "toy"
    endless = ["--epochs", "100000", "--set", "patience=100000", "--time-budget", "6s"]
    started = time.monotonic()
    assert run(["train", str(files), "--out", str(out), "--json", *endless, *QUICK]) == 0
    assert time.monotonic() - started < 30
    captured = capsys.readouterr()
    assert json.loads(captured.out)["stopped"] == "the time budget is spent"
    assert "s are for training, the rest for judging and export" in captured.err
    assert "no baselines were trained within the time budget" in captured.err
    assert Classifier.load(out)(["a1 a2"])[0].label


def test_epochs_are_judged_as_they_will_be_served(files: Path, tmp_path: Path) -> None:
    """The kept epoch's figures are the bundle's: n-gram path included, weights averaged."""
    out = tmp_path / "toy"
    held_out = ["--validation", str(files / "test.csv"), "--test", str(files / "test.csv")]
    # a network that learns nothing: alone it would be right by chance only
    idle = ["--epochs", "1", "--set", "optimizer.learning_rate=1e-9"]
    assert run(["train", str(files / "train.csv"), "--out", str(out), "--quiet", *held_out, *QUICK, *idle]) == 0
    metrics = Bundle.open(out).manifest.metrics
    kept = metrics["history"]["epochs"][metrics["history"]["best"] - 1]
    test = metrics["test"]
    answered = test["texts"] - test["unanswered"]  # a text without a word: only the bundle's figures count it
    assert kept["validation_accuracy"] * answered == pytest.approx(test["accuracy"] * test["texts"])


def test_vectors_of_characters_change_the_model_and_not_its_size(files: Path, tmp_path: Path) -> None:
    models = {}
    for choice in ("true", "false"):
        out = tmp_path / choice
        arguments = ["--quiet", "--epochs", "1", "--set", f"model.characters={choice}", *QUICK]
        assert run(["train", str(files), "--out", str(out), *arguments]) == 0
        models[choice] = Bundle.open(out).read("model.onnx")
    assert models["true"] != models["false"]
    assert len(models["true"]) == len(models["false"])


@pytest.mark.parametrize(("out", "says"), [("bad name", "a bundle's name is"), ("file/toy", "file is a file")])
def test_a_place_without_room_is_refused_before_training(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], out: str, says: str
) -> None:
    (tmp_path / "file").touch()
    before = sorted(tmp_path.iterdir())
    assert run(["train", str(files), "--out", str(tmp_path / out)]) == 78
    assert says in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


def test_a_run_folder_that_is_a_file_is_refused_before_training(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    refuse(["train", str(files), "--run-folder", str(tmp_path / "file")], "--run-folder", tmp_path / "toy", capsys)


@pytest.mark.parametrize(
    ("bundle", "data", "says"),
    [("none", "test.csv", "none: no such folder"), ("toy", "none.csv", "No such file"), ("toy", ".", "no test file")],
)
def test_evaluate_refuses_in_one_line(
    toy_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], bundle: str, data: str, says: str
) -> None:
    (tmp_path / "test.csv" if data != "." else tmp_path / "x.csv").write_text("text,label\nx,billing\n")
    path = toy_bundle if bundle == "toy" else tmp_path / bundle
    assert run(["evaluate", str(path), str(tmp_path / data)]) != 0
    captured = capsys.readouterr()
    assert captured.err.startswith("sortgate: error: ")
    assert captured.err.count("\n") == 1
    assert says in captured.err

"""``sortgate tune`` from end to end: real trainings, real kills, and every kind of bad input."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sortgate.bundle import Bundle
from sortgate.cli import run
from sortgate_training.loading import load_config

Rows = list[tuple[str, str]]
SETTINGS = (
    "refit=false",
    "model.hidden=8",
    "model.embedding=16",
    "batch_size=16",
    "epochs=2",
    "optimizer.learning_rate=0.004",
)
QUICK = [*(part for setting in SETTINGS for part in ("--set", setting)), "--threads", "1"]


@pytest.fixture(scope="module")
def data(
    tmp_path_factory: pytest.TempPathFactory, rows: Callable[..., Rows], write_rows: Callable[[Path, Rows], Path]
) -> Path:
    return write_rows(tmp_path_factory.mktemp("data") / "toy.csv", rows(300))


def tune(capsys: pytest.CaptureFixture[str], data: Path, study: Path, *arguments: str) -> dict[str, Any]:
    assert run(["tune", str(data), "--study", str(study), "--json", *QUICK, *arguments]) == 0
    return json.loads(capsys.readouterr().out)


def table(study: Path) -> list[dict[str, str]]:
    with (study / "trials.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def study(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of three trials."""
    folder = tmp_path_factory.mktemp("study") / "toy"
    assert run(["tune", str(data), "--study", str(folder), "--trials", "3", "--quiet", *QUICK]) == 0
    return folder


def test_the_start_is_what_train_would_come_to_and_the_best_is_what_train_takes(
    data: Path, study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = tune(capsys, data, study, "--trials", "3", "--quiet")  # all are done: it only says so again
    assert found["ended"] == "all 3 trials are done"
    assert [trial["number"] for trial in found["trials"]] == [0, 1, 2]
    start = found["trials"][0]
    assert start["values"] == {}
    assert start["cost"]["ms"] > 0
    assert run(["train", str(data), "--out", str(tmp_path / "toy"), "--no-baselines", "--quiet", *QUICK]) == 0
    history = Bundle.open(tmp_path / "toy").manifest.metrics["history"]
    kept = history["epochs"][history["best"] - 1]
    judgement = start["runs"][0]["judgement"]
    assert judgement["macro_f1"] == kept["validation_macro_f1"]
    assert judgement["loss"] == pytest.approx(kept["validation_loss"], abs=1e-6)
    assert start["cost"]["bytes"] == pytest.approx(len(Bundle.open(tmp_path / "toy").read("model.onnx")), abs=100)

    best = load_config(study / "best.toml")
    assert best.model.hidden == found["chosen"]["values"].get("model.hidden", 8)
    assert (best.epochs, best.batch_size) == (2, 16)
    assert (
        f"sortgate train {data} --config {study / 'best.toml'} --out models/NAME" in (study / "best.toml").read_text()
    )
    assert found["next"].startswith("sortgate train ")
    capsys.readouterr()
    assert (
        run([*found["next"].split()[1:-1], str(tmp_path / "tuned"), "--no-baselines", "--quiet", "--threads", "1"]) == 0
    )
    assert [row["trial"] for row in table(study)] == ["0", "1", "2"]


def test_what_is_printed_for_people(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = tmp_path / "study"
    assert run(["tune", str(data), "--study", str(study), "--trials", "2", "--metric", "loss", *QUICK]) == 0
    captured = capsys.readouterr()
    assert "trial 0: loss 0." in captured.err
    assert "left | the start\n" in captured.err
    assert captured.err.count("\ntrial 1") >= 1
    lines = captured.out.splitlines()
    assert lines[0].startswith("all 2 trials are done: 2 trials (")
    assert lines[1].split("\t") == ["trial", "figure", "seeds", "ms", "MB", "what differs"]
    assert lines[-2].startswith(f"{study / 'best.toml'}: trial ")
    assert lines[-1].startswith("next: sortgate train ")


def test_a_study_of_something_else_is_refused(
    data: Path, study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    rows: Callable[..., Rows], write_rows: Callable[[Path, Rows], Path],
) -> None:  # fmt: skip
    other = write_rows(tmp_path / "other.csv", rows(300, seed=1))
    for file, arguments, says in (
        (other, [], "the train texts are not those that the study was started with"),
        (data, ["--set", "patience=2"], "the study was started with patience 5, which is 2 now"),
        (data, ["--metric", "loss"], 'the study was started with metric "macro_f1", which is "loss" now'),
        (data, ["--max-size", "1MB"], "the study was started with limits.max_bytes null, which is 1000000 now"),
        (data, ["--fix", "model.cell"], 'started with searched.model.cell ["lstm", "gru"], which is null now'),
    ):
        before = (study / "journal.log").read_bytes()
        assert run(["tune", str(file), "--study", str(study), "--quiet", *QUICK, *arguments]) == 1
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert says in error
        assert "--fresh starts this one anew" in error
        assert (study / "journal.log").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["--metric", "f1"], 2, "'f1' is not one of 'macro_f1', 'accuracy', 'loss'"),
        (["--minutes", "0"], 2, "--minutes"),
        (["--minutes", "nan"], 2, "nan is no number of MINUTES"),
        (["--max-ms", "-1"], 2, "--max-ms"),
        (["--max-ms", "inf"], 2, "inf is no number of MS"),
        (["--max-size", "20"], 78, "--max-size: '20' is no size: write 500kB, 20MB or 1GiB"),
        (["--trials", "0"], 2, "--trials"),
        (["--fix", "model.layers"], 78, "--fix model.layers: a search changes "),
        (["--study", "full"], 78, "this folder is not empty and holds no study"),
        (["--study", "toy.csv"], 78, "--study toy.csv: File exists"),
        (["--config", "none.toml"], 78, "none.toml: No such file"),
        (["--set", "model.hiden=3"], 78, "did you mean model.hidden?"),
        (["--max-ms", "0.000001"], 78, "even the smallest network that would be tried costs "),
        (["--max-size", "1kB"], 78, "kB > 1 kB"),
        (["--minutes", "0.001"], 1, "--minutes 0.001 is too short: "),
        (["--set", "precision=int8", "--set", "model.cell=gru"], 1, "no int8 GRU"),
    ],
)
def test_bad_options_are_one_line(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    arguments: list[str], status: int, says: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "best.toml").touch()
    (tmp_path / "toy.csv").write_bytes(data.read_bytes())
    assert run(["tune", "toy.csv", "--study", "study", *QUICK, "--quiet", *arguments]) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert says in captured.err
    assert "Traceback" not in captured.err
    if status != 2:  # click shows its usage before its own errors
        assert captured.err.startswith("sortgate: error: ")
        assert captured.err.count("\n") == 1
    if status != 1:
        assert not (tmp_path / "study").exists()
    assert list((tmp_path / "full").iterdir()) == [tmp_path / "full" / "best.toml"]


def test_a_study_in_use_that_is_no_longer_whole_says_so(
    data: Path, study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in study.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    (copy / "study.json").write_text("{")
    assert run(["tune", str(data), "--study", str(copy), *QUICK]) == 1
    assert "study.json cannot be read; --fresh starts anew" in capsys.readouterr().err
    found = tune(capsys, data, copy, "--fresh", "--trials", "1", "--quiet")
    assert len(found["trials"]) == 1
    assert not (copy / "answers-1-0.npz").exists()


def test_test_texts_are_not_read(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "train.csv").write_bytes(data.read_bytes())
    (folder / "test.csv").write_bytes(b"\xff\xff no table")
    arguments = ["--study", str(tmp_path / "study"), "--trials", "1", *QUICK]
    assert run(["tune", str(folder), *arguments]) == 0
    assert "270 train, 30 validation texts" in capsys.readouterr().err


def test_a_separate_test_file_stays_closed_and_is_part_of_what_comes_next(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test = tmp_path / "other.csv"
    test.write_bytes(b"\xff\xff no table")
    found = tune(capsys, data, tmp_path / "study", "--trials", "1", "--test", str(test), "--plugins-dir", str(tmp_path))
    assert f"--test {test} " in found["next"]
    assert f"--plugins-dir {tmp_path} " in found["next"]


def test_a_start_that_favours_rare_labels_by_other_means(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: Callable[..., Rows], write_rows: Callable[..., Path]
) -> None:
    some = rows(400)
    few = [row for row in some if row[1] == "label a"][:8]
    data = write_rows(tmp_path / "uneven.csv", [*(row for row in some if row[1] != "label a"), *few])
    arguments = ["--trials", "4", "--set", "sampling=balanced", "--quiet"]
    found = tune(capsys, data, tmp_path / "study", *arguments)
    assert len(found["trials"]) == 4
    assert {trial["status"] for trial in found["trials"]} <= {"trained", "pruned"}


def test_a_file_of_vectors_is_part_of_the_study(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vectors = tmp_path / "v.txt"
    vectors.write_text("".join(f"word{number}{' 0.5' * 15} 0.{number}\n" for number in range(1, 9)))
    study, given = tmp_path / "study", ["--set", f'model.vectors="{vectors}"', "--quiet"]
    found = tune(capsys, data, study, "--trials", "3", *given)
    assert {trial["status"] for trial in found["trials"]} <= {"trained", "pruned"}
    vectors.write_text(vectors.read_text().replace("0.5", "0.25"))
    assert run(["tune", str(data), "--study", str(study), "--trials", "4", *given, *QUICK]) == 1
    assert "the study was started with files.vectors" in capsys.readouterr().err


def test_several_labels_a_text(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    rows: Callable[..., Rows],
    write_rows: Callable[[Path, Rows], Path],
) -> None:
    data = write_rows(
        tmp_path / "sets.csv", [(text, f"{label}|any" if len(text) % 2 else label) for text, label in rows(200)]
    )
    found = tune(capsys, data, tmp_path / "study", "--label-separator", "|", "--trials", "2", "--quiet")
    assert found["trials"][0]["figure"] > 0
    assert "--label-separator" in found["next"]


def test_a_size_limit_holds(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The start has n-grams and is over the budget; what is chosen is within it."""
    found = tune(capsys, data, tmp_path / "study", "--max-size", "25kB", "--trials", "4", "--quiet")
    start, *others = found["trials"]
    assert start["cost"]["bytes"] > 25_000
    assert not start["within"]
    assert start["runs"]
    for trial in others:
        assert (trial["status"] == "over budget") == (trial["cost"]["bytes"] > 25_000) == (not trial["within"])
        assert not (trial["runs"] and trial["status"] == "over budget")
    assert found["chosen"]["cost"]["bytes"] <= 25_000
    assert "the start is over the budget" in found["verdict"][0]


def begin(data: Path, study: Path, log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "sortgate", "tune", str(data), "--study", str(study), *QUICK, *arguments]
    with log.open("wb") as file:
        return subprocess.Popen(command, stdout=file, stderr=file, env={**os.environ, "PYTHONUNBUFFERED": "1"})


def wait_for(process: subprocess.Popen[bytes], log: Path, text: str) -> None:
    deadline = time.monotonic() + 90
    while text not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.01)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_the_same_command_goes_on(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], how: int) -> None:
    study, log = tmp_path / "study", tmp_path / "log"
    process = begin(data, study, log, "--trials", "4")
    try:
        wait_for(process, log, "\ntrial 0: ")
        time.sleep(0.1)  # into the next one
        process.send_signal(how)
        status = process.wait(60)
    finally:
        process.kill()
        process.wait()
    output = log.read_text()
    assert "Traceback" not in output
    if how == signal.SIGINT:
        assert status == 0, output
        assert "\nstopped: 1 trial (" in output
        assert f"{study / 'best.toml'}: trial " in output
    load_config(study / "best.toml")  # a kill leaves the best so far, too
    before = table(study)
    found = tune(capsys, data, study, "--trials", "4")
    assert len(before) >= 1
    assert [trial["number"] for trial in found["trials"]] == [0, 1, 2, 3]
    again = table(study)
    for row, later in zip(before, again, strict=False):
        assert {**row, "seeds": "", "epochs": "", "seconds": ""} == {
            **later,
            "seeds": "",
            "epochs": "",
            "seconds": "",
        } or (later["seeds"] == "2")


def test_ctrl_c_before_the_start_is_trained(
    tmp_path: Path, rows: Callable[..., Rows], write_rows: Callable[[Path, Rows], Path]
) -> None:
    data, log = write_rows(tmp_path / "large.csv", rows(6_000)), tmp_path / "log"
    process = begin(data, tmp_path / "study", log, "--set", "epochs=50")
    try:
        wait_for(process, log, "keys are searched")
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.wait()
    assert log.read_text().splitlines()[-1] == "sortgate: stopped"
    assert not (tmp_path / "study" / "best.toml").exists()


def test_without_optuna(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    for name in ("study", "search"):
        monkeypatch.delitem(sys.modules, f"sortgate_training.tuning.{name}", raising=False)
    assert run(["tune", str(data), "--study", str(tmp_path / "study"), *QUICK]) == 1
    error = capsys.readouterr().err
    assert error == 'sortgate: error: optuna is not installed: pip install "sortgate-training[tune]"\n'
    assert run(["tune", "--help"]) == 0

"""``sortgate distill``: a student learns from bundles beside the labels; what cannot teach is refused in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from small import SHAPE
from sortgate.bundle import Bundle
from sortgate.cli import run
from sortgate.inference import Classifier
from sortgate.vocabulary import Vocabulary
from sortgate_training import checkpoint, loop
from sortgate_training.config import DistillationConfig, LossConfig
from sortgate_training.distillation import Teaching, create_distillation_loss
from sortgate_training.objective import create_loss, create_multi_label_loss

Rows = list[tuple[str, str]]
QUICK = (*SHAPE, "--quiet", "--no-baselines", "--set", "batch_size=16", "--set", "optimizer.learning_rate=0.02")
#: The network alone: the n-gram path learns from labels only.
NETWORK = ("--set", "ngrams.enabled=false")


@pytest.fixture(scope="module")
def files(
    tmp_path_factory: pytest.TempPathFactory, rows: Callable[..., Rows], write_rows: Callable[[Path, Rows], Path]
) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_rows(folder / "train.csv", rows(240))
    write_rows(folder / "test.csv", rows(100, seed=1))
    texts = [f"{text} seldom{number // 5}" for number, (text, _) in enumerate(rows(200, seed=2))]
    (folder / "unlabelled.txt").write_text("\n".join([*texts, texts[0], rows(240)[0][0]]) + "\n")
    return folder


@pytest.fixture(scope="module")
def teachers(files: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("models")
    made = []
    for seed in ("0", "1"):
        made.append(folder / f"teacher{seed}")
        arguments = ["train", str(files), "--out", str(made[-1]), "--seed", seed, "--epochs", "5", *QUICK]
        assert run(arguments) == 0
    return made


def test_two_teachers_and_texts_without_labels(
    files: Path, teachers: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "small"
    arguments = [str(teachers[0]), str(files), "--teacher", str(teachers[1]), "-o", str(out)]
    loud = [word for word in QUICK if word != "--quiet"]
    extra = ["--unlabelled", str(files / "unlabelled.txt"), "--epochs", "3", "--json", *loud]
    assert run(["distill", *arguments, *extra]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["metrics"]["accuracy"] > 0.8
    assert "unlabelled.txt: 1 of 202 rows have no text, or one that was there before: dropped" in captured.err
    assert "unlabelled.txt: 1 of 201 texts are among the labelled ones: left out" in captured.err
    bundle = Bundle.open(out)
    fingerprints = [Bundle.open(path).fingerprint for path in teachers]
    kept = bundle.manifest.training["teachers"]
    assert [teacher["fingerprint"] for teacher in kept] == fingerprints
    assert kept[0]["bundle"] == Bundle.open(teachers[0]).model_name
    assert bundle.manifest.data["unlabelled"]["texts"] == 200
    page = bundle.read("report.html").decode()
    assert all(fingerprint in page for fingerprint in fingerprints)
    assert f"sortgate distill teacher0 {files.name}" in page
    assert str(files) not in page + (bundle.path / "manifest.json").read_text()
    # the vocabulary, too, is of all texts
    assert "seldom3" in Vocabulary.from_bytes(bundle.read("vocabulary.txt"))


def test_the_student_is_beside_its_teacher_by_default(files: Path, teachers: list[Path]) -> None:
    assert run(["distill", str(teachers[0]), str(files), "--epochs", "1", *QUICK]) == 0
    assert Bundle.open(teachers[0].with_name("teacher0-distilled")).manifest.name == "teacher0-distilled"


def accuracy(bundle: Path, rows: Rows) -> float:
    answers = Classifier.load(bundle)([text for text, _ in rows])
    return sum(made.label == label for made, (_, label) in zip(answers, rows, strict=True)) / len(rows)


def test_what_the_teacher_says_outweighs_wrong_labels(
    files: Path, teachers: list[Path], tmp_path: Path, rows: Callable[..., Rows],
    write_rows: Callable[[Path, Rows], Path],
) -> None:  # fmt: skip
    turned = {"label a": "label b", "label b": "label c", "label c": "label a"}
    wrong = [(text, label if number % 2 else turned[label]) for number, (text, label) in enumerate(rows(240))]
    data = write_rows(tmp_path / "wrong.csv", wrong)
    found = {}
    for weight in ("0", "1"):
        out = tmp_path / f"student{weight}"
        given = ["--validation", str(files / "test.csv"), "--set", f"distillation.weight={weight}", "--epochs", "4"]
        assert run(["distill", str(teachers[0]), str(data), "-o", str(out), *given, *QUICK, *NETWORK]) == 0
        found[weight] = accuracy(out, rows(200, seed=3))
    assert found["1"] > 0.8 > found["0"] + 0.1


def test_texts_without_labels_teach(
    files: Path, teachers: list[Path], tmp_path: Path, rows: Callable[..., Rows],
    write_rows: Callable[[Path, Rows], Path],
) -> None:  # fmt: skip
    data = write_rows(tmp_path / "few.csv", rows(24, seed=5))
    held_out = ["--validation", str(files / "test.csv"), "--epochs", "5", *QUICK, *NETWORK]
    found = []
    for name, extra in (("without", []), ("with", ["--unlabelled", str(files / "unlabelled.txt")])):
        out = tmp_path / name
        assert run(["distill", str(teachers[0]), str(data), "-o", str(out), *held_out, *extra]) == 0
        found.append(accuracy(out, rows(200, seed=3)))
    assert found[1] > found[0] + 0.1


class Killed(BaseException):
    """As a kill: nothing may handle it."""


def test_a_killed_run_goes_on_without_asking_the_teachers_again(
    files: Path, teachers: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def command(out: Path, *extra: str, teacher: Path = teachers[0]) -> list[str]:
        texts = ("--unlabelled", str(files / "unlabelled.txt"))
        return ["distill", str(teacher), str(files), "-o", str(out), "--epochs", "2", *texts, *QUICK, *extra]

    assert run(command(tmp_path / "whole")) == 0
    save = loop._Run.save

    def save_and_die(self: Any) -> None:
        save(self)
        raise Killed

    out = tmp_path / "killed"
    with monkeypatch.context() as patch:
        patch.setattr(loop._Run, "save", save_and_die)
        with pytest.raises(Killed):
            run(command(out))
    capsys.readouterr()
    assert run(command(out, "--resume", teacher=teachers[1])) == 1
    assert "the run was started with teachers" in capsys.readouterr().err
    assert checkpoint.read_arrays(out / ".run" / "teachers.npz")[1]["probabilities"].shape == (216 + 200, 3)

    def asked(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(Teaching, "probabilities", asked)
    assert run(command(out, "--resume")) == 0
    one, other = Bundle.open(tmp_path / "whole").manifest, Bundle.open(out).manifest
    assert one.files["model.onnx"] == other.files["model.onnx"]
    assert not list((out / ".run").glob("*.npz*"))


def test_a_text_that_the_teacher_cannot_read_has_its_label(teachers: list[Path]) -> None:
    teacher = Classifier.load(teachers[0])
    found = Teaching([teacher, teacher]).probabilities(["a1 a2", " ", "x" * 10**6], ["label c", "label a"], print)
    scores = {score.label: score.score for score in teacher(["a1 a2"])[0].labels}
    assert found[0].tolist() == pytest.approx([scores["label c"], scores["label a"]])
    assert np.isnan(found[1:]).all()


def packed(truth: list[list[float]], taught: list[list[float]]) -> torch.Tensor:
    return torch.stack([torch.tensor(truth), torch.tensor(taught)], dim=1)


@pytest.mark.parametrize("sets", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_loss(sets: bool, temperature: float) -> None:
    labels = ["a", "b", "c"]
    plain = (
        create_multi_label_loss(LossConfig(), labels, [1, 1, 1], 3) if sets else create_loss(LossConfig(), labels, [])
    )
    taught = [[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.3, 0.3, 0.4]]
    truth = [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [-1.0, -1.0, -1.0]]
    targets = packed(truth, taught)
    logits = torch.randn(3, 3, generator=torch.Generator().manual_seed(0))

    def loss(weight: float, of: torch.Tensor = logits, rows: slice = slice(None)) -> torch.Tensor:
        config = DistillationConfig(weight=weight, temperature=temperature)
        return create_distillation_loss(plain, config, sets=sets)(of[rows], targets[rows])

    answers = torch.tensor([[True, False, False], [False, False, True]]) if sets else torch.tensor([0, 2])
    assert float(loss(0.0, rows=slice(2))) == pytest.approx(float(plain(logits[:2], answers)))
    # both softened, and the gradient's size kept by the temperature's square
    soft, scaled = np.array(taught[0]), logits[0].double().numpy() / temperature
    if sets:
        odds = (soft / (1 - soft)) ** (1 / temperature)
        expected = (np.log1p(np.exp(scaled)) - odds / (1 + odds) * scaled).sum()
    else:
        soft = soft ** (1 / temperature) / (soft ** (1 / temperature)).sum()
        expected = np.log(np.exp(scaled).sum()) - (soft * scaled).sum()
    assert float(loss(1.0, rows=slice(1))) == pytest.approx(temperature**2 * expected, rel=1e-5)
    # with all the weight, nothing is left to learn where the student says what the teachers say
    probabilities = torch.tensor(taught)
    perfect = nn.Parameter(probabilities.logit() if sets else probabilities.log())
    loss(1.0, perfect).backward()
    assert perfect.grad is not None
    assert float(perfect.grad.abs().max()) < 1e-6
    # a mean over texts, so that a batch may be cut: the unlabelled one has all of its weight from the teachers
    parts = [loss(0.4, rows=slice(index, index + 1)) for index in range(3)]
    assert float(loss(0.4)) == pytest.approx(float(torch.stack(parts).mean()), rel=1e-5)
    assert float(parts[2]) == pytest.approx(float(loss(1.0, rows=slice(2, 3))))


def test_a_teacher_whose_scores_favour_rare_labels_is_named(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = [argument for argument in QUICK if argument != "--quiet"]
    shifted, plain = tmp_path / "shifted", tmp_path / "plain"
    for out, tau in ((shifted, "1"), (plain, "0")):
        arguments = ["--out", str(out), "--epochs", "1", "--set", f"loss.logit_adjustment={tau}", *QUICK]
        assert run(["train", str(files), *arguments]) == 0
    capsys.readouterr()
    arguments = ["--teacher", str(plain), "-o", str(tmp_path / "student"), "--epochs", "1", *settings]
    assert run(["distill", str(shifted), str(files), *arguments]) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "logit_adjustment" in line]
    assert len(said) == 1
    assert said[0].startswith("the teacher shifted/")


def test_a_teacher_of_sets_of_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str], files: Path) -> None:
    lines = [
        f"word{n % 7} {'red ' * (n % 2)}{'big ' * (n % 3 == 0)}x,{'red' * (n % 2)}|{'big' * (n % 3 == 0)}"
        for n in range(200)
    ]
    data = tmp_path / "sets.csv"
    data.write_text("text,label\n" + "\n".join(lines) + "\n")
    sets = ["--label-separator", "|", "--epochs", "1", *QUICK]
    assert run(["train", str(data), "--out", str(tmp_path / "teacher"), *sets]) == 0
    assert run(["distill", str(tmp_path / "teacher"), str(data), "-o", str(tmp_path / "student"), *sets]) == 0
    manifest = Bundle.open(tmp_path / "student").manifest
    assert manifest.task == "multi_label"
    assert manifest.training["teachers"][0]["bundle"].startswith("teacher/")
    capsys.readouterr()
    assert run(["distill", str(tmp_path / "teacher"), str(files), "-o", str(tmp_path / "x"), *QUICK]) == 1
    assert "gives any number of labels a text, where train.csv has one label a text" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["TEACHER", "other.csv"], "has other labels than other.csv: it does not know 'x' and no text is labelled"),
        (["none", "TRAIN"], "none: no such folder"),
        (["TEACHER", "TRAIN", "--teacher", "none"], "none: no such folder"),
        (["TEACHER", "none.csv"], "none.csv: No such file"),
        (["TEACHER", "TRAIN", "--unlabelled", "none.txt"], "none.txt: No such file"),
        (["TEACHER", "TRAIN", "--unlabelled", "empty.txt"], "empty.txt: the file is empty"),
        (["TEACHER", "TRAIN", "--unlabelled", "blank.csv"], "blank.csv: no text in it (1 rows, all empty)"),
        (["TEACHER", "TRAIN", "--unlabelled", "wide.csv"], "cannot tell which column holds the text"),
        (["TEACHER", "TRAIN", "--unlabelled", "bad.jsonl"], "bad.jsonl: row 2 (line 2) is not a JSON object"),
        (["TEACHER", "TRAIN", "--set", "distillation.weight=2"], "distillation.weight: expected `float` <= 1"),
        (["TEACHER", "TRAIN", "--set", "distillation.temperature=0"], "distillation.temperature: expected `float` > 0"),
        (["TEACHER", "TRAIN", "--set", "sampling=balanced"], "sampling is not for distillation"),
        (["TEACHER", "TRAIN", "--set", "loss.logit_adjustment=1"], "loss.logit_adjustment is not for distillation"),
        (["TEACHER", "TRAIN", "--resume"], "there is no unfinished run"),
    ],
)
def test_bad_input_is_one_line(
    files: Path, teachers: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], arguments: list[str], says: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.csv").write_text("text,label\na b,x\nb c,x\nc d,label a\nd e,label a\n")
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "blank.csv").write_text('text\n" "\n')
    (tmp_path / "wide.csv").write_text("a,b,c\n1,2,3\n")
    (tmp_path / "bad.jsonl").write_text('{"text": "a"}\n[]\n')
    names = {"TEACHER": str(teachers[0]), "TRAIN": str(files / "train.csv")}
    before = sorted(tmp_path.iterdir())
    words = [names.get(word, word) for word in arguments]
    assert run(["distill", *words, "-o", str(tmp_path / "student"), *QUICK]) not in {0, None}
    captured = capsys.readouterr()
    assert captured.err.startswith("sortgate: error: ")
    assert captured.err.count("\n") == 1
    assert says in captured.err
    assert sorted(tmp_path.iterdir()) == before

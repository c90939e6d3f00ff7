"""``sortgate pretrain``, and training that starts from its file: what is learned, and what is refused in one line."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from sortgate.bundle import Bundle
from sortgate.cli import run
from sortgate.textconfig import TextConfig
from sortgate.vocabulary import FIRST_ID, PADDING_ID, Vocabulary
from sortgate_training.averaging import WeightAverage
from sortgate_training.batches import EncodedTexts
from sortgate_training.checkpoint import read_arrays, write_arrays
from sortgate_training.config import ModelConfig, TrainingConfig
from sortgate_training.language_model import LanguageModel
from sortgate_training.model import RecurrentClassifier
from sortgate_training.objective import Optimizer, OptimizerConfig
from sortgate_training.parallel import SideBySide
from sortgate_training.pretrained import load_pretrained, shapes_of, write_pretrained
from sortgate_training.step import Step

Rows = list[tuple[str, str]]
SHAPE = ("--set", "refit=false", "--set", "model.hidden=8", "--set", "model.embedding=16")
QUICK = ("--threads", "1", *SHAPE, "--set", "batch_size=16")
SMALL = ModelConfig(hidden=8, embedding=16)


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory, rows: Callable[..., Rows], write_rows: Callable[[Path, Rows], Path]
) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_rows(folder / "train.csv", rows(150))
    # "x" and "y" alternate: after one the other is certain
    lines = [f"{text} {'y ' * (number % 2)}{'x y ' * 5}" for number, (text, _) in enumerate(rows(150, seed=2))]
    (folder / "texts.txt").write_text("\n".join(lines) + "\n")
    assert run(["pretrain", str(folder / "texts.txt"), "-o", str(folder / "p.npz"), "--quiet", *QUICK]) == 0
    return folder


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_the_next_token_is_learned_in_both_directions(cell: Literal["lstm", "gru"], bidirectional: bool) -> None:
    torch.manual_seed(0)
    # 2 3 4 2 3 4 …: each token says which is next, forward as backward
    ids = [[FIRST_ID + (start + at) % 3 for at in range(4 + start)] for start in range(9)]
    texts = EncodedTexts(ids, [0] * len(ids))
    config = ModelConfig(cell=cell, hidden=8, embedding=8, bidirectional=bidirectional)
    network = RecurrentClassifier(config, FIRST_ID + 3, 1, Vocabulary(["a", "b", "c"]))
    counts = np.bincount(texts.flat(), minlength=FIRST_ID + 3)
    model = LanguageModel(network, counts)
    # at the start the frequencies are known, and nothing else
    assert model.perplexity(texts) == pytest.approx(3.0, rel=0.2)
    optimizer = Optimizer(OptimizerConfig(learning_rate=0.05), model)
    with SideBySide() as sides:
        average = WeightAverage(model, 0.0)
        step = Step(model, lambda losses, _: losses.mean(), optimizer, lambda _: 1.0, average, sides=sides)
        losses = [step(texts.batch(range(9)), 1) for _ in range(40)]
    assert model.perplexity(texts) < 1.2
    assert losses[-1] < 0.2
    assert not set(model.draw().tolist()) & {PADDING_ID}
    assert network.output.weight.grad is None


def test_each_direction_predicts_what_comes_next_in_it() -> None:
    network = RecurrentClassifier(SMALL, 12, 1, [f"t{n}" for n in range(10)])
    model = LanguageModel(network, np.ones(12, dtype=np.int64))
    batch = EncodedTexts([[2, 5, 7, 3], [4, 8]], [0, 0]).batch([0, 1])
    forward, backward = (sorted(targets.tolist()) for _, targets in model._states(batch.ids, batch.lengths))
    assert (forward, backward) == ([3, 5, 7, 8], [2, 4, 5, 7])


def test_the_sampled_loss_goes_to_the_exact_one() -> None:
    torch.manual_seed(0)
    size = 12
    network = RecurrentClassifier(SMALL, size, 1, [f"t{n}" for n in range(size - FIRST_ID)])
    texts = EncodedTexts([[2, 5, 7, 3, 11], [4, 4, 8]], [0, 0])
    model = LanguageModel(network, np.arange(size))
    batch = texts.batch([0, 1])
    with torch.no_grad():
        losses = [float(model(batch.ids, batch.lengths).mean()) for _ in range(200)]
    assert float(np.mean(losses)) == pytest.approx(math.log(model.perplexity(texts)), rel=0.02)


def test_a_file_is_begun_with(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "p.npz"
    known = load_pretrained(path, TrainingConfig(model=SMALL))
    out = tmp_path / "toy"
    arguments = ["train", str(folder / "train.csv"), "--out", str(out), "--epochs", "1", "--no-baselines", *QUICK]
    still = ["--set", "optimizer.learning_rate=1e-9", "--set", "ngrams.enabled=false"]
    assert run([*arguments, *still, "--pretrained", str(path)]) == 0
    assert "p.npz: vectors for " in capsys.readouterr().err
    bundle = Bundle.open(out)
    record = bundle.manifest.training
    assert record["pretrained"]["file"] == record["model"]["pretrained"] == "p.npz"
    assert len(record["pretrained"]["sha256"]) == 64
    assert str(folder) not in (bundle.path / "manifest.json").read_text()
    # the tokens of both, those of the training texts first; and hardly moved, they are in the model
    vocabulary = Vocabulary.from_bytes(bundle.read("vocabulary.txt"))
    assert set(known.learned.vocabulary) <= set(vocabulary)
    assert "x" in vocabulary
    network = RecurrentClassifier(SMALL, len(vocabulary), 3, vocabulary)
    known.put_into(network, vocabulary, EncodedTexts([[FIRST_ID]], [0]), print)
    table = network.embedding.table()[list(vocabulary).index("x") + FIRST_ID].numpy()
    assert table.astype(np.float32).tobytes()[:12] in bundle.read("model.onnx") or _close(bundle, table)
    assert torch.equal(network.rnns[1].weight_hh_l0, known.learned.others["rnns.1.weight_hh_l0"])


def _close(bundle: Bundle, row: np.ndarray) -> bool:
    """Whether a weight of the model has a row like this one."""
    import onnx
    from onnx.numpy_helper import to_array

    arrays = [to_array(part) for part in onnx.load_from_string(bundle.read("model.onnx")).graph.initializer]
    tables = [array for array in arrays if array.ndim == 2 and array.shape[1] == len(row)]
    return any(np.abs(table - row).max(axis=1).min() < 1e-4 for table in tables)


def test_what_is_printed(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["pretrain", str(folder / "train.csv"), "-o", str(tmp_path / "p.npz"), "--epochs", "2", *QUICK]
    assert run([*arguments, "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err.count("held-out perplexity") == 2
    found = json.loads(captured.out)
    assert (found["epochs"], found["stopped"]) == (2, "all 2 epochs are done")
    facts, arrays = read_arrays(tmp_path / "p.npz")
    assert facts["perplexity"] == found["perplexity"] > 1
    assert found["vocabulary"] == len(arrays["embedding.words.weight"])


def test_a_time_budget_ends_it_with_a_file(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    budget = ["--epochs", "100000", "--time-budget", "3s", "--json", "--quiet"]
    assert run(["pretrain", str(folder / "texts.txt"), "-o", str(tmp_path / "p.npz"), *budget, *QUICK]) == 0
    assert json.loads(capsys.readouterr().out)["stopped"] == "the time budget is spent"
    load_pretrained(tmp_path / "p.npz", TrainingConfig(model=SMALL))


def test_ctrl_c_keeps_what_is_learned(folder: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = ["pretrain", str(folder / "texts.txt"), "-o", str(tmp_path / "p.npz"), "--epochs", "100000", *QUICK]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "sortgate", *command], stdout=file, stderr=file,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 60
            while "epoch 1/" not in log.read_text():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0, log.read_text()
        finally:
            process.kill()
            process.wait()
    assert "stopped by Ctrl-C" in log.read_text()
    assert "Traceback" not in log.read_text()
    load_pretrained(tmp_path / "p.npz", TrainingConfig(model=SMALL))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["none.txt", "-o", "p.npz"], "none.txt: No such file"),
        (["empty.txt", "-o", "p.npz"], "empty.txt: the file is empty"),
        (["few.txt", "-o", "p.npz"], "few.txt: 2 texts of two tokens or more; pretraining needs 10 at least"),
        (["TEXTS", "-o", "."], "--out .: a folder"),
        (["TEXTS", "-o", "none/p.npz"], "--out none/p.npz: there is no folder"),
        (["TEXTS", "-o", "p.npz", "--epochs", "0"], "epochs: expected `int` >= 1"),
        (["TEXTS", "-o", "p.npz", "--time-budget", "soon"], "'soon' is no time"),
        (["TEXTS", "-o", "p.npz", "--set", "model.hiden=1"], "did you mean model.hidden?"),
        (["TEXTS", "-o", "p.npz", "--text-column", "x", "wide.csv"], "wide.csv: no column 'x'"),
        (["TEXTS", "-o", "p.npz", "--time-budget", "0.001s"], "is over before a first step: nothing is learned"),
        (
            ["TEXTS", "-o", "p.npz", "--set", "optimizer.learning_rate=1e30", "--set", "optimizer.gradient_clip=0"],
            "lower optimizer.learning_rate",
        ),
    ],
)
def test_bad_input_is_one_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    arguments: list[str], says: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "few.txt").write_text("one two\ntwo one\none\n")
    (tmp_path / "wide.csv").write_text("a,b\n1,2\n")
    before = sorted(tmp_path.iterdir())
    words = [str(folder / "texts.txt") if word == "TEXTS" else word for word in arguments]
    assert run(["pretrain", *words, "--quiet", *QUICK]) not in {0, None}
    one_line(capsys, says)
    assert sorted(tmp_path.iterdir()) == before


def one_line(capsys: pytest.CaptureFixture[str], says: str) -> None:
    error = capsys.readouterr().err
    assert error.startswith("sortgate: error: ")
    assert error.count("\n") == 1
    assert says in error


@pytest.mark.parametrize(
    ("name", "extra", "says"),
    [
        ("none.npz", [], "none.npz: No such file"),
        ("empty.npz", [], "damaged, or not written by `sortgate pretrain`"),
        ("cut.npz", [], "damaged, or not written by `sortgate pretrain`"),
        ("pickle.npz", [], "damaged, or not written by `sortgate pretrain`"),
        ("checkpoint.npz", [], "not written by `sortgate pretrain`"),
        ("wrong.npz", [], "damaged: rnns.0.bias_hh_l0 is not what it should be"),
        ("chinese.npz", [], "none of the tokens of the training texts is known in it"),
        ("GOOD", ["--set", "model.hidden=9"], "pretrained with model.hidden=8, which is 9 here: set model.hidden=8"),
        ("GOOD", ["--cell", "gru"], "pretrained with model.cell=lstm, which is gru here"),
        ("GOOD", ["--set", "model.characters=false"], "pretrained with model.characters=true, which is false here"),
        (
            "GOOD",
            ["--set", "text.tokenizer=sortgate.characters.v1"],
            'pretrained with text.tokenizer = {"name": "sortgate.w',
        ),
        ("GOOD", ["--vectors", "v.txt"], "model.vectors and model.pretrained: one of them only"),
    ],
)
def test_a_bad_file_is_one_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str,
    extra: list[str], says: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    good = folder / "p.npz"
    facts, arrays = read_arrays(good)
    (tmp_path / "empty.npz").touch()
    (tmp_path / "cut.npz").write_bytes(good.read_bytes()[:-1000])
    np.savez(tmp_path / "pickle.npz", allow_pickle=True, facts=np.array([{"a": 1}], dtype=object))
    write_arrays(tmp_path / "checkpoint.npz", {"steps": 1}, {})
    write_arrays(tmp_path / "wrong.npz", facts, {**arrays, "rnns.0.bias_hh_l0": np.zeros(3, np.float32)})
    chinese = Vocabulary(["中", "文"])
    network = RecurrentClassifier(SMALL, len(chinese), 1, chinese)
    write_pretrained(tmp_path / "chinese.npz", network, chinese, TextConfig(), {})
    assert set(shapes_of(SMALL, 4, 0)) < set(network.state_dict())
    before = sorted(tmp_path.iterdir())
    path = str(good) if name == "GOOD" else name
    arguments = ["train", str(folder / "train.csv"), "--out", "m", "--quiet", *QUICK, "--pretrained", path, *extra]
    assert run(arguments) not in {0, None}
    one_line(capsys, says)
    assert sorted(tmp_path.iterdir()) == before

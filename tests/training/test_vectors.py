"""Word vectors from a file: read line by line, scaled like the random ones, and refused in one line when bad."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import zstandard

from sortgate.bundle import Bundle
from sortgate.cli import run
from sortgate.errors import DataError
from sortgate.vocabulary import FIRST_ID, PADDING_ID, UNKNOWN_ID, Vocabulary
from sortgate_training.batches import EncodedTexts
from sortgate_training.embedding import TokenEmbedding
from sortgate_training.readers.files import sha256_of
from sortgate_training.vectors import read_vectors, start_from_vectors

Rows = list[tuple[str, str]]
QUICK = (
    "--threads", "1", "--no-baselines", "--epochs", "1", "--set", "refit=false", "--set", "model.hidden=8",
    "--set", "model.embedding=3",
)  # fmt: skip
VOCABULARY = Vocabulary(["der", "die", "das", "…", ". . ."])
LINES = ["die 1 2 3", "nie 9 9 9", "… -1e-1 0.5 0 ", ". . . 4 5 6", "die 7 7 7"]


def packed(path: Path, content: bytes) -> Path:
    if path.suffix == ".gz":
        content = gzip.compress(content)
    if path.suffix == ".zst":
        content = zstandard.ZstdCompressor().compress(content)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", ["glove.txt", "wiki.vec", "glove.txt.gz", "wiki.vec.zst"])
def test_only_known_tokens_are_kept_and_the_first_of_equal_ones(tmp_path: Path, name: str) -> None:
    head = ["5 3"] if "vec" in name else []
    path = packed(tmp_path / name, "\n".join([*head, *LINES]).encode() + b"\r\n")
    ids, values = read_vectors(path, VOCABULARY, 3)
    assert dict(zip(ids.tolist(), values.tolist(), strict=True)) == {
        FIRST_ID + 1: [1, 2, 3],
        FIRST_ID + 3: [pytest.approx(-0.1), 0.5, 0],
        FIRST_ID + 4: [4, 5, 6],
    }


def test_they_take_the_place_of_random_ones_at_their_scale(tmp_path: Path) -> None:
    path = packed(tmp_path / "v.txt", "\n".join(LINES).encode())
    torch.manual_seed(0)
    embedding = TokenEmbedding(len(VOCABULARY), 3, VOCABULARY)
    before = embedding.words.weight.detach().clone()
    said: list[str] = []
    learned = EncodedTexts([[FIRST_ID + 1, FIRST_ID, UNKNOWN_ID], [FIRST_ID + 3]], [0, 1])
    record = start_from_vectors(embedding, path, VOCABULARY, learned, said.append)
    after = embedding.words.weight.detach()
    assert said == ["v.txt: vectors for 3 of 5 tokens (50 % of occurrences)"]
    assert record == {"file": "v.txt", "sha256": sha256_of(path), "tokens": 3, "occurrences": 0.5}
    kept = [PADDING_ID, UNKNOWN_ID, FIRST_ID, FIRST_ID + 2]
    assert torch.equal(after[kept], before[kept])
    found = after[[FIRST_ID + 1, FIRST_ID + 3, FIRST_ID + 4]]
    assert float(found.std(unbiased=False)) == pytest.approx(float(before[FIRST_ID:].std()), rel=1e-5)
    assert np.allclose(found / found[0, 0], np.array([[1, 2, 3], [-0.1, 0.5, 0], [4, 5, 6]]), atol=1e-6)


@pytest.fixture(scope="module")
def data(
    tmp_path_factory: pytest.TempPathFactory, rows: Callable[..., Rows], write_rows: Callable[[Path, Rows], Path]
) -> Path:
    return write_rows(tmp_path_factory.mktemp("data") / "train.csv", rows(200))


def test_a_bundle_says_which_vectors_it_began_with(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = packed(tmp_path / "own.vec", b"2 3\nword1 1 2 3\na1 3 2 1\n")
    models = []
    for extra in (["--vectors", str(path)], ["--set", f"model.vectors='{path}'"], []):
        out = tmp_path / f"m{len(models)}"
        assert run(["train", str(data), "--out", str(out), "--json", *QUICK, *extra]) == 0
        models.append(Bundle.open(out).manifest)
        captured = capsys.readouterr()
        assert ("own.vec: vectors for 2 of " in captured.err) == bool(extra)
        assert json.loads(captured.out)["epochs"] == 1
    assert models[0].files["model.onnx"] == models[1].files["model.onnx"] != models[2].files["model.onnx"]
    assert models[0].training["vectors"]["sha256"] == sha256_of(path)
    assert models[0].training["model"]["vectors"] == "own.vec"
    assert "vectors" not in models[2].training
    assert str(tmp_path) not in (Bundle.open(tmp_path / "m0").path / "manifest.json").read_text()
    assert sha256_of(path) in Bundle.open(tmp_path / "m0").read("report.html").decode()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        (b"", "no vectors in it"),
        (b"\n\n", "no vectors in it"),
        (b"0 3\n", "no vectors in it"),
        (b"word1 1 2 3\nword2 1 2\n", "line 2 has 2 numbers where others have 3"),
        (b"word1 1 2 3\nword2 1 2 3 4\n", "line 2 has 4 numbers where others have 3"),
        (b"word1 1 2 three\n", "line 1: what follows the word are not all numbers"),
        (b"word1 1 2 nan\n", "line 1: what follows the word are not all numbers"),
        (b"word1 1 1 1\nword2 1 1 1\n", "all its numbers are the same"),
        (b"word1 1 2\n", "its vectors have 2 numbers, and model.embedding is 3: set model.embedding=2"),
        (b"9 300\nword1 1 2 3\n", "set model.embedding=300"),
        (b"word1\t1\t2\t3\n", "line 1 is no word with numbers, each after a space"),
        (b"NEVER 1 2 3\n", "tokens of the training texts has a vector in it"),
        (gzip.compress(b"word1 1 2 3\n" * 99, mtime=0)[:-9], "damaged or cut short"),
    ],
)
def test_a_bad_file_is_one_line(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, says: str
) -> None:
    path = tmp_path / "bad.vec"
    if content is not None:
        path.write_bytes(content)
    before = sorted(tmp_path.iterdir())
    arguments = ["train", str(data), "--out", str(tmp_path / "m"), "--quiet", *QUICK, "--vectors", str(path)]
    assert run(arguments) not in {0, None}
    error = capsys.readouterr().err
    assert error.startswith("sortgate: error: ")
    assert error.count("\n") == 1
    assert says in error
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="directory"):
        sha256_of(tmp_path)

"""``sortgate classify``: a line out for every line in, the same answers as the classifier's."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sortgate import Classifier, cli
from sortgate.bundle import Bundle

TEXTS = ["hello world", "", "please help me", "你好 word7", "word3 " * 500]


def classify(capfdbinary: pytest.CaptureFixture[bytes], *arguments: str) -> tuple[int, list[Any], str]:
    status = cli.run(["classify", *arguments])
    out, err = capfdbinary.readouterr()
    return status, [json.loads(line) for line in out.splitlines()], err.decode()


def test_text_file(
    toy_bundle: Path, toy_classifier: Classifier, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS))
    status, answers, err = classify(capfdbinary, str(toy_bundle), str(tmp_path / "texts.txt"))
    assert (status, err) == (0, "")
    assert len(answers) == len(TEXTS)
    for number, (answer, expected) in enumerate(zip(answers, toy_classifier(TEXTS), strict=True), 1):
        assert answer["label"] == expected.label
        assert answer["score"] == expected.score
        assert answer["labels"] == [[item.label, item.score] for item in expected.labels]
        assert answer.get("line") == (number if expected.error else None)
        assert answer.get("truncated", 0) == expected.truncated
    assert answers[1]["error"] == {"code": "empty_text", "message": "nothing is left of the text after normalizing"}


def test_json_lines_keep_their_ids(toy_bundle: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_bytes(
        b'{"id": "a", "body": "hello"}\nnot json\n{"id": 2}\n{"body": "\xff"}\n{"id": null, "body": "x"}\n'
    )
    status, answers, _ = classify(capfdbinary, str(toy_bundle), str(path), "--text-field", "body")
    assert status == 0
    assert [answer.get("id") for answer in answers] == ["a", None, 2, None, None]
    assert [answer.get("error", {}).get("code") for answer in answers] == [
        None,
        "not_json",
        "no_text",
        "not_json",
        None,
    ]
    assert [answer.get("line") for answer in answers] == [None, 2, 3, 4, None]


def test_standard_input_and_many_lines(toy_bundle: Path) -> None:
    texts = "".join(f"hello word{i % 50}\n" for i in range(3_000))
    done = subprocess.run(
        [sys.executable, "-m", "sortgate", "classify", str(Bundle.open(toy_bundle).path), "-", "--threads", "2"],
        input=texts, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stderr == ""
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == 3_000
    for first, again in zip(answers[:50], answers[50:100], strict=True):
        assert first["label"] == again["label"]
        assert first["score"] == pytest.approx(again["score"], abs=1e-5)


@pytest.mark.parametrize(
    ("data", "says"),
    [(b"", "standard input: no lines"), (b"\xff\n\xfe\n", "none of the 2 lines could be read")],
)
def test_nothing_readable(
    toy_bundle: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes], data: bytes, says: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(data))))
    status, answers, err = classify(capfdbinary, str(toy_bundle))
    assert status == 1
    assert len(answers) == data.count(b"\n")
    assert says in err
    assert len(err.splitlines()) == 1


def test_missing_things_are_one_line(
    toy_bundle: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    status, answers, err = classify(capfdbinary, str(toy_bundle), str(tmp_path / "absent.txt"))
    assert (status, answers) == (1, [])
    assert err.startswith("sortgate: error: ")
    assert "absent.txt: No such file" in err
    (tmp_path / "x.txt").write_text("x")
    status, answers, err = classify(capfdbinary, str(tmp_path / "nobundle"), str(tmp_path / "x.txt"))
    assert (status, answers) == (78, [])
    assert "nobundle: no such folder" in err
    copy = shutil.copytree(toy_bundle, tmp_path / "toy")
    (Bundle.open(copy).path / "extra").touch()
    status, answers, err = classify(capfdbinary, str(copy), str(tmp_path / "x.txt"))
    assert (status, answers) == (78, [])
    assert "extra: not named by the manifest" in err

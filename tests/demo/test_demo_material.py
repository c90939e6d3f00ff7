"""What the demo reads from a folder, and what it says of one it cannot read."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from sortgate.demo.material import folder_material, generated_material, read_pairs
from sortgate.errors import DataError

ROWS = [("a, b\nc", "x"), ("ü\tß", "y")]


def write(path: Path, text: str) -> Path:
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", ["test.csv", "test.csv.gz", "test.tsv", "test.jsonl", "test.jsonl.gz"])
def test_reads_every_format(tmp_path: Path, name: str) -> None:
    if ".jsonl" in name:
        text = "".join(json.dumps({"label": label, "text": text}) + "\n" for text, label in ROWS)
    else:
        mark = "\t" if ".tsv" in name else ","
        text = mark.join(("label", "text")) + "\n"
        text += "".join(f'{label}{mark}"{text}"\n' for text, label in ROWS)
    assert list(read_pairs(write(tmp_path / name, text))) == ROWS


def test_folder_needs_both_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        folder_material(tmp_path / "absent")
    write(tmp_path / "train.csv", "text,label\na,b\n")
    with pytest.raises(DataError, match=r"has no test file \(test\.csv"):
        folder_material(tmp_path)
    write(tmp_path / "test.csv.gz", "text,label\nhello,b\n")
    material = folder_material(tmp_path)
    assert (material.source, material.texts, material.labels) == (tmp_path, ["hello"], ["b"])
    assert not material.generated


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("body,label\na,b\n", "row 1: needs columns text and label, has body, label"),
        ("text,label\n", "holds no texts"),
        ("text,label\nonly\n", "row 1"),
    ],
)
def test_unreadable_test_file_is_named(tmp_path: Path, text: str, expected: str) -> None:
    write(tmp_path / "train.csv", "text,label\na,b\n")
    write(tmp_path / "test.csv", text)
    with pytest.raises(DataError, match=expected):
        folder_material(tmp_path)


@pytest.mark.parametrize(("name", "data"), [("test.csv", b"text,label\n\xff,b\n"), ("test.jsonl", b"{\n")])
def test_broken_bytes_are_a_data_error(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=name):
        list(read_pairs(tmp_path / name))


def test_generated_files_share_no_text(tmp_path: Path) -> None:
    material = generated_material(tmp_path, 300)
    assert material.generated
    assert len(material.texts) == len(material.labels) == 300
    trained = {text for text, _ in read_pairs(material.source)}
    assert len(trained & set(material.texts)) < 10

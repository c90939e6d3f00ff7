"""Reading labelled texts: what is taken, and that what is not says where it is wrong."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sortgate.errors import DataError
from sortgate_training.readers import read_rows

ROWS = [("first text", "a"), ('with "quotes", and\na second line', "b"), ("third", "a")]


def write_csv(path: Path, rows: list[tuple[str, str]], delimiter: str = ",") -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows([("text", "label"), *rows])
    return path


def test_csv_tsv_and_json_lines_say_the_same(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", ROWS)
    write_csv(tmp_path / "a.tsv", ROWS, "\t")
    lines = [json.dumps({"label": label, "other": 1, "text": text}) for text, label in ROWS]
    (tmp_path / "a.jsonl").write_text("\n".join(lines) + "\n\n")
    for name in ("a.csv", "a.tsv", "a.jsonl"):
        assert read_rows(tmp_path / name) == (ROWS, [])
        packed = tmp_path / f"{name}.gz"
        packed.write_bytes(gzip.compress((tmp_path / name).read_bytes()))
        assert read_rows(packed)[0] == ROWS


@settings(max_examples=60)
@given(rows=st.lists(st.tuples(st.text(), st.text()), min_size=1, max_size=8))
def test_what_the_csv_module_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    rows = [tuple(part.encode("utf-8", "replace").decode().replace("\0", "") for part in row) for row in rows]  # type: ignore[misc]
    path = write_csv(tmp_path_factory.mktemp("csv") / "a.csv", rows)
    assert read_rows(path)[0] == rows


@pytest.mark.parametrize("line_break", ["\r\n", "\n"])
def test_byte_order_mark_line_breaks_and_blank_lines(tmp_path: Path, line_break: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("\ufefftext,label\n\nx,a\ny,b\n\n".replace("\n", line_break).encode())
    assert read_rows(path)[0] == [("x", "a"), ("y", "b")]


def test_tsv_without_quoting(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text('text\tlabel\n"Open\ta\nsay "hi" now\tb\n')
    assert read_rows(path)[0] == [('"Open', "a"), ('say "hi" now', "b")]


@pytest.mark.parametrize(
    ("header", "text", "label", "expected"),
    [
        ("text,label", None, None, ("t", "l")),
        ("Category,id,Message", None, None, ("third", "t")),
        ("a,b,c", "c", "a", ("third", "t")),
        ("foo,label", None, None, ("t", "l")),
        ("text,foo", None, None, ("t", "l")),
        ("label,text", "label", "text", ("t", "l")),
        ("foo,bar", "bar", None, ("l", "t")),
    ],
)
def test_columns_are_named_or_found(
    tmp_path: Path, header: str, text: str | None, label: str | None, expected: tuple[str, str]
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(header + "\nt,l" + ",third" * (header.count(",") - 1) + "\n")
    assert read_rows(path, text, label)[0] == [expected]


def test_two_columns_of_other_names_are_told_apart_by_their_values(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("v1,v2\n" + "".join(f"{'ham' if i % 3 else 'spam'},text {i}\n" for i in range(9)))
    rows, notes = read_rows(path)
    assert rows[:2] == [("text 0", "spam"), ("text 1", "ham")]
    assert notes == ["a.csv: column 1 taken as the label"]


def test_a_file_without_header(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("".join(f"{'ham' if i % 3 else 'spam'}\ttext {i}\n" for i in range(9)))
    rows, notes = read_rows(path)
    assert len(rows) == 9
    assert notes == ["a.tsv: column 1 taken as the label; no header"]


def test_json_values_become_text(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "x", "label": 1}\n{"text": "y", "label": true}\n{"text": null, "label": "z"}\n')
    assert read_rows(path)[0] == [("x", "1"), ("y", "true"), ("", "z")]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", b"", "the file is empty"),
        ("a.csv", b"text,label\n", "no rows"),
        ("a.jsonl", b"\n", "the file is empty"),
        ("a.csv", b"text,label\nx,a\n\xff,b\n", "row 2 (line 3) is not UTF-8"),
        ("a.csv", b"t\xffxt,label\nx,a\n", "the header (line 1) is not UTF-8"),
        ("a.csv", b'text,label\n"x\ny",a\n\xff,b\n', "row 2 (line 4) is not UTF-8"),
        ("a.jsonl", b'{"text":"x","label":"a"}\n{"text":"\xff"}\n', "row 2 (line 2) is not UTF-8"),
        ("a.csv", "text,label\nx,a\n".encode("utf-16"), "not UTF-8"),
        ("a.csv", b"text,label\nx,a\nx,y,b\n", "row 2 (line 3) has 3 fields where the header has 2"),
        ("a.csv", b'text,label\n"x\n1",a\nb\n', "row 2 (line 4) has 1 fields"),
        ("a.csv", b'text,label\nx,a\n"y,b\nz,c\n', "row 2 (line 3)"),
        ("a.csv", b'text,label\n"x"y,a\n', "row 1 (line 2)"),
        ("a.csv", b"text\nx\n", "one column only ('text')"),
        ("a.csv", b"a,b,c\n1,2,3\n", "there are 'a', 'b', 'c'"),
        ("a.csv", b"text,b,c\n1,2,3\n", "--label-column"),
        ("a.jsonl", b"[1]\n", "row 1 is not a JSON object"),
        ("a.jsonl", b'{"text":"x","label":"a"}\n{"text":"x"\n', "row 2 is not a JSON object"),
        ("a.jsonl", b'{"text":"x","label":"a"}\n{"text":"x"}\n', "row 2 has no 'label'"),
        ("a.jsonl", b'{"text":"x","label":["a"]}\n', "row 1: 'label' must be a string or a number"),
        ("a.txt", b"x\n", "not a known kind of file"),
        ("a.csv.gz", gzip.compress(b"text,label\nx,a\n")[:-9], "not a complete gzip file"),
        ("a.csv.gz", gzip.compress(b"text,label\nx,a\n")[:12] + b"\0" * 30, "not a complete gzip file"),
    ],
)
def test_bad_files_say_where(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_rows(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_columns_are_answered_with_those_there_are(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", ROWS)
    with pytest.raises(DataError, match=r"no column 'body' \(--text-column\); there are 'text', 'label'"):
        read_rows(path, "body")


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_rows(tmp_path / "none.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match="a folder"):
        read_rows(tmp_path / "folder.csv")

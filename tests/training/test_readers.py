"""Reading labelled texts: what is taken, and that what is not says where it is wrong."""

from __future__ import annotations

import csv
import gzip
import json
import sys
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from sortgate.errors import DataError
from sortgate_training.readers import read_rows, read_texts

ROWS = [("first text", "a"), ('with "quotes", and\na second line', "b"), ("third", "a")]
# No time in its header: the bytes are part of test ids, which must be the same in every process of a run.
CSV_GZ = gzip.compress(b"text,label\nx,a\n", mtime=0)


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
        for suffix, compress in ((".gz", gzip.compress), (".zst", zstandard.compress)):
            packed = tmp_path / f"{name}{suffix}"
            packed.write_bytes(compress((tmp_path / name).read_bytes()))
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


@pytest.mark.parametrize("separator", [";", "\t"])
def test_csv_with_another_separator(tmp_path: Path, separator: str) -> None:
    path = write_csv(tmp_path / "a.csv", ROWS, separator)
    assert read_rows(path) == (ROWS, [])
    path.write_bytes(b"\n\n" + path.read_bytes())
    assert read_rows(path) == (ROWS, [])


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
        ("a.jsonl", b"[1]\n", "row 1 (line 1) is not a JSON object"),
        ("a.jsonl", b'{"text":"x","label":"a"}\n\n{"text":"x"\n', "row 2 (line 3) is not a JSON object"),
        ("a.jsonl", b'{"text":"x","label":"a"}\n{"text":"x"}\n', "row 2 (line 2) has no 'label'"),
        ("a.jsonl", b'{"text":"x","label":{}}\n', "row 1 (line 1): 'label' must be a string or a number"),
        ("a.jsonl", b'{"text":["x"],"label":"a"}\n', "row 1 (line 1): 'text' must be a string or a number"),
        ("a.jsonl", b'{"text":"x","label":["a",null]}\n', "row 1 (line 1): 'label' must be a list of strings"),
        ("a.txt", b"", "the file is empty"),
        ("a.txt", b"x\n", "row 1 (line 1) has no __label__NAME"),
        ("a.ft", b"__label__a x\n\n__label__b \xff\n", "row 2 (line 3) is not UTF-8"),
        ("a.docx", b"x\n", "not a known kind of file"),
        ("a.parquet", b"PAR1x", "not a complete Parquet file"),
        ("a.parquet.gz", b"x", "unpack the file"),
        ("a.csv.zst", zstandard.compress(b"text,label\nx,a\n" * 99)[:-3], "not a complete Zstandard file"),
        ("a.csv.zst", zstandard.compress(b"text,label\nx,a\n")[:6] + b"\xff" * 30, "not a complete Zstandard file"),
        ("a.csv.gz", CSV_GZ[:-9], "not a complete gzip file"),
        ("a.csv.gz", CSV_GZ[:12] + b"\0" * 30, "not a complete gzip file"),
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


def test_zstandard_of_several_frames(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.zst"
    path.write_bytes(zstandard.compress(b"text,label\nx,") + zstandard.compress(b"a\n" + b"y,b\n" * 20_000))
    rows, _ = read_rows(path)
    assert rows[0] == ("x", "a")
    assert rows[1:] == [("y", "b")] * 20_000


def test_fasttext_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("__label__a first  text\n\n__label__a __label__b,c second\nthird __label__b\nnone x__label__y\n")
    assert read_rows(path)[0] == [
        ("first  text", "a"),
        ("second", ("a", "b,c")),
        ("third", "b"),
        ("none x__label__y", ""),
    ]


def test_json_lists_of_labels(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "x", "labels": ["b", 1]}\n{"text": "y", "labels": []}\n{"text": "z", "labels": null}\n')
    assert read_rows(path)[0] == [("x", ("b", "1")), ("y", ()), ("z", "")]


def write_parquet(path: Path, **columns: list[object]) -> Path:
    parquet.write_table(pa.table(columns), path)
    return path


def test_parquet(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", other=[1, 2, 3], label=["a", None, "b"], text=["x", "y", None])
    assert read_rows(path)[0] == [("x", "a"), ("y", ""), ("", "b")]
    path = write_parquet(tmp_path / "b.parquet", label=[["a", "b"], [], None], text=["x", "y", "z"])
    assert read_rows(path)[0] == [("x", ("a", "b")), ("y", ()), ("z", "")]
    path = write_parquet(tmp_path / "c.parquet", label=[1, 0], text=["x", "y"])
    assert read_rows(path)[0] == [("x", "1"), ("y", "0")]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"text": ["x", b"y".hex()], "label": [{"a": 1}, {"a": 2}]}, "row 1: 'label' must be a string or a number"),
        ({"text": [["x"]], "label": ["a"]}, "row 1: 'text' must be a string or a number"),
        ({"text": [b"x"], "label": ["a"]}, "row 1: 'text' must be a string or a number"),
        ({"text": ["x"], "label": [["a", None]]}, "row 1: 'label' must be a list of strings"),
        ({"a": ["x"], "b": ["y"], "c": ["z"]}, "there are 'a', 'b', 'c'"),
        ({"text": pa.array([], pa.string()), "label": pa.array([], pa.string())}, "no rows in it"),
    ],
)
def test_bad_parquet_says_where(tmp_path: Path, columns: dict[str, list[object]], says: str) -> None:
    path = write_parquet(tmp_path / "a.parquet", **columns)
    with pytest.raises(DataError) as caught:
        read_rows(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert says in str(caught.value)


def test_parquet_that_is_not_utf8(tmp_path: Path) -> None:
    texts = pa.Array.from_buffers(pa.string(), 2, pa.array([b"x", b"\xff"]).buffers())
    parquet.write_table(pa.table({"text": texts, "label": ["a", "b"]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="row 2: 'text' is not UTF-8"):
        read_rows(tmp_path / "a.parquet")


def test_parquet_needs_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r'pip install "sortgate-training\[parquet\]"'):
        read_rows(tmp_path / "a.parquet")


def test_other_columns_are_not_kept_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "other", "label"))
        writer.writerows((f"text {i}", f"{i:01000d}", "a") for i in range(5_000))
    tracemalloc.start()
    try:
        assert len(read_rows(path)[0]) == 5_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < path.stat().st_size / 3


def test_texts_alone(tmp_path: Path) -> None:
    texts = [text for text, _ in ROWS]
    write_csv(tmp_path / "a.csv", ROWS)
    write_csv(tmp_path / "a.tsv", ROWS, "\t")
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    parquet.write_table(pa.table({"text": texts}), tmp_path / "a.parquet")
    for name in ("a.csv", "a.tsv", "a.jsonl", "a.parquet"):
        assert read_texts(tmp_path / name) == texts
        with pytest.raises(DataError, match="no column 'x'"):
            read_texts(tmp_path / name, "x")
    (tmp_path / "a.txt").write_text("__label__a first\n\nsecond, third\n")
    assert read_texts(tmp_path / "a.txt") == ["first", "second, third"]
    (tmp_path / "one.csv").write_text("whatever\nfirst\n")
    assert read_texts(tmp_path / "one.csv") == ["first"]
    (tmp_path / "two.csv").write_text("words,label\nfirst,a\n")
    assert read_texts(tmp_path / "two.csv") == ["first"]
    (tmp_path / "odd.tsv").write_text('text\n"first\n')
    assert read_texts(tmp_path / "odd.tsv") == ['"first']
    (tmp_path / "head.csv").write_text("text\n")
    with pytest.raises(DataError, match="no rows"):
        read_texts(tmp_path / "head.csv")

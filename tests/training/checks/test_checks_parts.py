"""What ``sortgate check`` is made of: scripts, likely languages, normalising, affixes; and its bad input."""

from __future__ import annotations

from pathlib import Path

import pytest

from sortgate.cli import run
from sortgate_training.checks.content import common_affix
from sortgate_training.checks.findings import Spread, shorten
from sortgate_training.checks.repeats import normalised
from sortgate_training.checks.scripts import language_shares, script_of


@pytest.mark.parametrize(
    ("content", "options", "says"),
    [
        (None, [], "No such file"),
        (b"", [], "the file is empty"),
        (b"text,label\n,a\n", [], "no labelled text"),
        (b"a,b,c\n1,2,3\n", [], "there are 'a', 'b', 'c'"),
        (b"text,label\nx,a\n", ["--text-column", "body"], "no column 'body'"),
        (b"text,label\nx,a\n", ["--label-column", "kind"], "no column 'kind'"),
        (b"text,label\nx,a\n", ["--text-column", "label", "--label-column", "label"], "name the same column, 'label'"),
        (b"text,label\nx,a\n", ["--test", "none.csv"], "none.csv: No such file"),
        (b"text,label\nx,a\n", ["--validation", "none.csv"], "none.csv: No such file"),
        (b"text,label\nx,a\n", ["--config", "none.toml"], "none.toml: No such file"),
        (b"text,label\nx,a\n", ["--set", "limits.max_token=3"], "did you mean limits.max_tokens?"),
        (b"text,label\nx,a\n", ["--set", "text.tokenizer=none.v1"], "none.v1"),
        (b"text,label\nx,a\n", ["--plugins-dir", "none"], "none"),
        (b"text,label\nx,a\n", ["--label-separator", ""], "--label-separator: what stands between"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, options: list[str], says: str
) -> None:
    data = tmp_path / "data.csv"
    if content is not None:
        data.write_bytes(content)
    assert run(["check", str(data), *options]) != 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("sortgate: error: ")
    assert captured.err.count("\n") == 1
    assert says in captured.err


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("hello", "Latin"), ("día ª", "Latin"), ("123 !?", None), ("привет ok", "Cyrillic"), ("你好", "Han"),
        ("日本語です", "Kana"), ("สวัสดี", "Thai"), ("नमस्ते", "Devanagari"), ("안녕", "Hangul"), ("مرحبا", "Arabic"),
        ("ＡＢＣ", "Latin"),
    ],
)  # fmt: skip
def test_script_of_a_text(text: str, script: str | None) -> None:
    assert script_of(text) == script


def test_likely_languages() -> None:
    texts = ["the cat and the dog of my house", "der Hund und die Katze", "je ne sais pas ce que c'est", "ok", "привет"]
    assert language_shares(texts) == {"English": 0.25, "German": 0.25, "French": 0.25, "unclear": 0.25}


def test_normalising_and_affixes() -> None:
    assert normalised("  Hello,  WORLD 1234!") == normalised("hello world-7") == "hello world 0"
    assert normalised("!!!") == "!!!"
    assert common_affix([f"Subject: {i}" for i in range(30)]) == "Subject: "
    assert common_affix([f"{i} regards" for i in range(30)], backwards=True) == " regards"
    assert common_affix(["the same text"] * 30) == ""
    assert Spread.of([]) == Spread(0, 0, 0, 0)
    assert Spread.of([1, 2, 3, 100]) == Spread(3, 100, 100, 100)
    assert len(shorten("x" * 10_000)) == 120

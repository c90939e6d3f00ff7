"""``sortgate check``: what it finds in small data, what stops training, and what every option is answered with."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from findings import finding, topics
from sortgate.cli import run


def test_clean_texts_have_no_findings(tmp_path: Path, rows: Any, write_rows: Any, check: Any) -> None:
    report = check(write_rows(tmp_path / "clean.csv", rows(2_500)))
    assert report["trainable"]
    assert report["findings"] == []
    assert report["suggestions"] == []
    part = report["parts"][0]
    assert (part["file"], part["rows"], part["texts"], part["columns"]) == (
        "clean.csv", 2_500, 2_500, ["text", "label"],
    )  # fmt: skip
    assert sum(part["labels"].values()) == 2_500
    assert part["scripts"] == {"Latin": 1.0}
    assert 0.0 <= part["unknown_tokens"] < 0.01


def test_repeats_and_contradictions_name_their_rows(tmp_path: Path, rows: Any, write_rows: Any, check: Any) -> None:
    bad = [
        ("Pay 20 now!", "a"), ("Pay 20 now!", "a"),  # a duplicate
        ("pay 30 NOW", "a"),  # the same but for trifles
        ("odd one out", "a"), ("odd one out", "b"),  # a contradiction
        ("Refund #1 sent", "a"), ("refund 2 sent", "b"),  # one but for trifles
        ("", "a"), ("no label here", " "),
    ]  # fmt: skip
    report = check(write_rows(tmp_path / "d.csv", [*bad, *rows(300, "ab")]))
    assert finding(report, "train", "duplicates")["examples"][0]["rows"] == [1, 2]
    near = finding(report, "train", "near-duplicates")
    assert near["count"] == 2
    assert near["examples"][0]["rows"] == [1, 3]
    exact, trifles = (f for f in report["findings"] if f["topic"] == "contradictions")
    assert (exact["examples"][0]["rows"], exact["examples"][0]["detail"]) == ([4, 5], "a ≠ b")
    assert trifles["examples"][0]["rows"] == [6, 7]
    empty = [f["what"] for f in report["findings"] if f["topic"] == "empty"]
    assert empty == ["1 row has no text (row 8)", "1 row has no label (row 9)"]


def test_leakage_is_found_exactly_and_but_for_trifles(tmp_path: Path, rows: Any, write_rows: Any, check: Any) -> None:
    train = rows(300)
    write_rows(tmp_path / "train.csv", train)
    text, label = train[10]
    write_rows(tmp_path / "test.csv", [*rows(100, seed=1), train[3], (text.upper() + "!!", label)])
    exact, near = (f for f in check(tmp_path)["findings"] if f["topic"] == "leakage")
    assert (exact["count"], near["count"]) == (1, 1)
    assert (exact["examples"][0]["rows"], exact["examples"][0]["detail"]) == ([101], "train row 4")
    assert (near["examples"][0]["rows"], near["examples"][0]["detail"]) == ([102], "train row 11")


def test_labels_that_are_rare_foreign_or_spelled_twice(tmp_path: Path, rows: Any, write_rows: Any, check: Any) -> None:
    train = rows(300)
    write_rows(tmp_path / "train.csv", [*train, *[(f"few {i} {'x' * i}", "Label_A") for i in range(4)]])
    write_rows(tmp_path / "test.csv", [(t, b) for t, b in rows(50, "ab", seed=2)] + [("new thing", "novel")])
    report = check(tmp_path)
    labels = [(f["part"], f["level"], f["what"]) for f in report["findings"] if f["topic"] == "labels"]
    assert [(part, level) for part, level, _ in labels] == [
        ("train", "warning"), ("train", "warning"), ("test", "warning"), ("test", "note"),
    ]  # fmt: skip
    assert "Label_A (4)" in labels[0][2]
    assert "'Label_A', 'label a'" in labels[1][2]
    assert "'novel' (1 text)" in labels[2][2]
    assert "'Label_A', 'label c'" in labels[3][2]
    assert finding(report, "train", "imbalance")["count"] >= 20
    assert {"key": "loss.class_weights", "value": "balanced"}.items() <= report["suggestions"][-1].items()


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["one a,a", "two a,a", "three a,a"], "only one label, 'a'"),
        (["one a,a", "two a,a", "three b,b"], "1 label has one text only: 'b'"),
        (["!,a", "?,a", "\u200b,b", "\u200b\u200b,b"], "all of label 'b'"),
    ],
)
def test_what_stops_training_is_an_error(tmp_path: Path, check: Any, lines: list[str], says: str) -> None:
    data = tmp_path / "d.csv"
    data.write_text("\n".join(["text,label", *lines]), encoding="utf-8")
    report = check(data)
    assert not report["trainable"]
    assert any(says in f["what"] for f in report["findings"] if f["level"] == "error")
    # and train agrees
    assert run(["train", str(data), "--out", str(tmp_path / "toy"), "-q", "--epochs", "1", "--threads", "1"]) == 1


def test_test_labels_that_are_all_unknown_stop_training(tmp_path: Path, rows: Any, write_rows: Any, check: Any) -> None:
    write_rows(tmp_path / "train.csv", rows(100))
    write_rows(tmp_path / "test.csv", [("word1", "x"), ("word2", "y")])
    assert ("test", "labels") in topics(check(tmp_path), "error")


def test_suspicious_texts(tmp_path: Path, rows: Any, write_rows: Any, check: Any) -> None:
    bad = [
        ("le cafÃ© est fermÃ©", "label a"),
        ("click <a href='x'>here</a> &amp; now", "label a"),
        ("bell \x07 rings", "label b"),
        ("see https://a.example/b", "label b"),
        ("long " * 15_000, "label c"),
    ]
    report = check(write_rows(tmp_path / "d.csv", [*bad, *rows(150)]))
    for row, topic in enumerate(("mojibake", "HTML", "control characters", "addresses", "very long"), 1):
        found = finding(report, "train", topic)
        assert (found["count"], found["examples"][0]["rows"]) == (1, [row])
    assert finding(report, "train", "control characters")["examples"][0]["detail"] == "'bell \\x07 rings'"
    assert "\x07" not in json.dumps(report, ensure_ascii=False).replace("\\u0007", "")
    limits = {s["key"]: s["value"] for s in report["suggestions"]}
    assert limits["limits.max_text_bytes"] == limits["limits.max_characters"] == 131_072


def test_plain_texts_are_not_suspicious(tmp_path: Path, rows: Any, write_rows: Any, check: Any) -> None:
    fine = [("Ã la carte? Olá, São Paulo: 3 < 4 & 5 > 2", "label a"), ("a\tb\nc <3 naïve “quotes” 😀", "label b")]
    assert topics(check(write_rows(tmp_path / "d.csv", [*fine, *rows(300)]))) == set()


def test_long_texts_and_the_room_that_they_need(tmp_path: Path, rows: Any, write_rows: Any, check: Any) -> None:
    long = [(f"w{i} " * 30 + "end", f"label {'ab'[i % 2]}") for i in range(60)]
    data = write_rows(tmp_path / "d.csv", [*long, *rows(240, "ab")])
    head = ("--set", "limits.max_tokens=25", "--set", "limits.truncation=head")
    report = check(data, *head)
    cut = finding(report, "train", "length")
    assert (cut["count"], cut["level"]) == (60, "warning")
    assert "60 texts (20.0%) will be cut to limits.max_tokens (25)" in cut["what"]
    assert report["max_tokens"] == 25
    assert report["parts"][0]["tokens"]["longest"] == 31
    assert "only the first 25 tokens are read" in cut["what"]
    assert "--set limits.truncation=head_tail reads the end of longer ones, too" in cut["advice"]
    suggested = {s["key"]: s["value"] for s in report["suggestions"]}
    assert suggested["limits.max_tokens"] == 50
    report = check(data, "--set", "limits.max_tokens=25")
    cut = finding(report, "train", "length")
    assert "only the first 6 and last 19 tokens are read" in cut["what"]
    assert "head_tail" not in cut["advice"]
    assert ("train", "length") not in topics(check(data))


def test_unknown_tokens_and_scripts_of_the_test_part(tmp_path: Path, rows: Any, write_rows: Any, check: Any) -> None:
    write_rows(tmp_path / "train.csv", rows(300))
    write_rows(tmp_path / "test.csv", [(f"слово{i} ещё{i}", "label a") for i in range(30)] + rows(30, seed=5))
    report = check(tmp_path)
    test = report["parts"][1]
    assert test["scripts"] == {"Cyrillic": 0.5, "Latin": 0.5}
    assert 0.1 < test["unknown_tokens"] < 0.5
    assert {("test", "vocabulary"), ("test", "scripts")} <= topics(report, "warning")


def test_a_mark_that_gives_the_label_away(tmp_path: Path, rows: Any, write_rows: Any, check: Any) -> None:
    marked = [(f"[EXT] {text}" if label == "label b" else text, label) for text, label in rows(300)]
    found = finding(check(write_rows(tmp_path / "d.csv", marked)), "train", "constant")
    assert found["level"] == "warning"
    assert "'label b'" in found["what"]
    assert "'[EXT] '" in found["what"]
    everywhere = [(f"{text} -- sent from my phone", label) for text, label in rows(300)]
    found = finding(check(write_rows(tmp_path / "e.csv", everywhere)), "train", "constant")
    assert (found["level"], "' -- sent from my phone'" in found["what"]) == ("note", True)


def test_jsonl_gz_tsv_and_named_columns(tmp_path: Path, rows: Any, check: Any) -> None:
    lines = [json.dumps({"id": i, "body": text, "kind": label}) for i, (text, label) in enumerate(rows(200))]
    (tmp_path / "d.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    part = check(tmp_path / "d.jsonl.gz", "--label-column", "kind")["parts"][0]
    assert (part["columns"], part["text_column"], part["label_column"]) == (["id", "body", "kind"], "body", "kind")
    (tmp_path / "d.tsv").write_text("".join(f'"{text}\t{label}\n' for text, label in rows(200)))
    report = check(tmp_path / "d.tsv")
    assert report["parts"][0]["columns"] == ["1", "2"]
    assert finding(report, "train", "columns")["what"] == "d.tsv: column 2 taken as the label; no header"


def test_several_files_are_one_and_rows_count_on(tmp_path: Path, rows: Any, write_rows: Any, check: Any) -> None:
    texts = rows(300)
    one = write_rows(tmp_path / "one.csv", texts[:200])
    other = write_rows(tmp_path / "other.csv", [*texts[200:], texts[0]])
    report = check(one, str(other))
    part = report["parts"][0]
    assert (part["file"], part["rows"], part["texts"]) == ("one.csv and 1 more", 301, 301)
    assert finding(report, "train", "duplicates")["examples"][0]["rows"] == [1, 301]
    assert run(["init", str(one), str(other), "-o", str(tmp_path / "c.toml")]) == 0
    assert f"{one} {other} --config" in (tmp_path / "c.toml").read_text()


def test_sets_of_labels(tmp_path: Path, rows: Any, check: Any, capsys: pytest.CaptureFixture[str]) -> None:
    texts = [text for text, _ in rows(300)]
    sets = [["a", "b"], ["a"], [], ["b", "c"], ["a", "b", "c"]]
    extra = [(texts[0], ["a"]), (texts[1], ["a"])]  # a contradiction and a duplicate
    made = [*((text, sets[number % 5]) for number, text in enumerate(texts)), *extra]
    (tmp_path / "d.jsonl").write_text("\n".join(json.dumps({"text": text, "labels": labels}) for text, labels in made))
    (tmp_path / "d.csv").write_text("text,label\n" + "\n".join(f"{text},{'|'.join(labels)}" for text, labels in made))
    report = check(tmp_path / "d.jsonl")
    part = report["parts"][0]
    assert part["labels"] == {"a": 182, "b": 180, "c": 120}
    sizes = {"0": 60, "1": 62, "2": 120, "3": 60}
    assert part["sets"] == {"cardinality": round(482 / 302, 4), "distinct": 5, "without": 60, "sizes": sizes}
    [torn] = (f for f in report["findings"] if f["topic"] == "contradictions" and "the same text" in f["what"])
    assert (torn["examples"][0]["rows"], torn["examples"][0]["detail"]) == ([1, 301], "a, b ≠ a")
    assert torn["advice"].endswith("or merge labels that people cannot tell apart")
    assert finding(report, "train", "duplicates")["examples"][0]["rows"] == [2, 302]
    joined = check(tmp_path / "d.csv", "--label-separator", "|")
    assert joined["parts"][0]["sets"] == part["sets"]
    capsys.readouterr()
    assert run(["check", str(tmp_path / "d.jsonl")]) == 0
    shown = capsys.readouterr().out
    assert "texts with 0, 1, 2, … labels\t60 62 120 60" in shown
    assert run(["init", str(tmp_path / "d.csv"), "--label-separator", "|", "-o", str(tmp_path / "c.toml")]) == 0
    assert "--label-separator '|'" in (tmp_path / "c.toml").read_text()


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (["", "", ""], "no text has a label"),
        (["a", "a", "a"], "only one label, 'a'"),
        (["a|b", "a", ""], "1 label has one text only: 'b'"),
    ],
)
def test_sets_that_stop_training(tmp_path: Path, check: Any, labels: list[str], says: str) -> None:
    data = tmp_path / "d.csv"
    data.write_text("text,label\n" + "\n".join(f"word{number} text,{given}" for number, given in enumerate(labels)))
    separator = ["--label-separator", "|"]
    report = check(data, *separator)
    assert any(says in f["what"] for f in report["findings"] if f["level"] == "error")
    assert run(["train", str(data), "--out", str(tmp_path / "toy"), "-q", "--threads", "1", *separator]) == 1


def test_one_label_that_some_texts_lack_can_be_learned(tmp_path: Path, check: Any) -> None:
    data = tmp_path / "d.csv"
    data.write_text("text,label\n" + "\n".join(f"word{number} text,{'a' * (number % 2)}" for number in range(40)))
    report = check(data, "--label-separator", "|")
    assert report["trainable"]
    assert (report["parts"][0]["labels"], report["parts"][0]["sets"]["without"]) == ({"a": 20}, 20)


def test_sets_beside_single_labels(tmp_path: Path, rows: Any, write_rows: Any, check: Any, capsys: Any) -> None:
    (tmp_path / "train.csv").write_text("text,label\n" + "\n".join(f"{text},a|{label}" for text, label in rows(100)))
    write_rows(tmp_path / "test.csv", [*rows(30, "ab", seed=1), ("word", "new")])
    report = check(tmp_path, "--label-separator", "|")
    assert report["parts"][1]["sets"]["cardinality"] == 1.0
    foreign = next(f for f in report["findings"] if f["topic"] == "labels" and f["part"] == "test")
    assert (foreign["level"], "'new' (1 text)" in foreign["what"]) == ("warning", True)
    (tmp_path / "test.jsonl").write_text(json.dumps({"text": "x", "labels": ["a", "b"]}))
    assert run(["check", str(tmp_path / "train.csv"), "--test", str(tmp_path / "test.jsonl")]) != 0
    error = capsys.readouterr().err
    assert "test.jsonl: several labels a text, where train.csv has one" in error
    assert error.count("\n") == 1


def test_other_text_paths_are_checked_too(tmp_path: Path, rows: Any, write_rows: Any, check: Any) -> None:
    data = write_rows(tmp_path / "d.csv", rows(200))
    config = tmp_path / "c.toml"
    config.write_text("[text]\ntokenizer = 'sortgate.characters.v1'\n")
    part = check(data, "--config", str(config))["parts"][0]
    assert part["tokens"] == part["characters"]
    bpe = check(data, "--set", "text.tokenizer={name='sortgate.bpe.v1', params={vocab_size=300}}")["parts"][0]
    assert bpe["tokens"]["median"] > part["words"]["median"]


@pytest.mark.parametrize("terminal", [False, True])
def test_what_people_read(
    tmp_path: Path, rows: Any, write_rows: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    terminal: bool,
) -> None:  # fmt: skip
    if terminal:
        monkeypatch.setenv("COLUMNS", "60")
        monkeypatch.setenv("FORCE_COLOR", "1")
    bad = [("x [red]y[/red] \x1b[31m z", "label a")] * 2
    data = write_rows(tmp_path / "d.csv", [*bad, *rows(300, "abcdefghijklmnopqrstuvwxyz")])
    assert run(["check", str(data)]) == 0
    out = capsys.readouterr().out
    assert "\x1b[31m" not in out  # the text's own: Text of rich is styled otherwise
    assert "[red]y[/red]" in out
    assert "→ " in out
    assert "6 more" in out
    assert out.splitlines()[-1].startswith("ready to train: 0 errors, ")
    if terminal:
        body = out[out.index("→ ") :]
        assert max(len(line) for line in body.replace("\x1b", "").splitlines() if "--set" not in line) < 120

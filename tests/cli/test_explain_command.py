"""``sortgate explain``: what it prints, where it reads, and how it fails."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from rich.console import Console

from handmade import WORDS, load_bundle
from sortgate import Classifier, cli
from sortgate.cli.explanation import show
from sortgate.explain import Explanation
from sortgate.vocabulary import FIRST_ID
from sortgate_training.graph import random_model

TEXT = "Hello world, please help me with word7 and xyzzy"
ESCAPE = re.compile(r"\x1b\[")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = cli.run(["explain", *arguments])
    out, err = capsys.readouterr()
    return status, out, err


def test_every_part_is_printed(
    toy_bundle: Path, toy_classifier: Classifier, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(capsys, str(toy_bundle), TEXT)
    assert (status, err) == (0, "")
    found = toy_classifier.explain(TEXT)
    assert found.label is not None
    assert out.startswith(f"Answer\n  {found.label}")
    for part in ("sortgate.nfkc.v1", "changes nothing", "hello world, please", "unknown words", "xyzzy", "left over"):
        assert part in out
    assert not ESCAPE.search(out), "a pipe gets no colours"
    assert re.search(r"^  hello\s+[+−]?\d", out, re.M)


def test_json_is_the_explanation(
    toy_bundle: Path, toy_classifier: Classifier, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = run(capsys, str(toy_bundle), TEXT, "--json", "--label", "other", "--method", "occlusion")
    assert status == 0
    found = msgspec.json.decode(out, type=Explanation)
    expected = toy_classifier.explain(TEXT, label="other", method="occlusion")
    assert (found.label, found.gradients) == ("other", None)
    assert [effect.token for effect in found.tokens] == [effect.token for effect in expected.tokens]
    assert found.contributions == pytest.approx(expected.contributions, abs=1e-4)


def test_texts_come_from_a_file_or_a_pipe(
    toy_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mail.txt"
    path.write_text(f"  {TEXT}\nsecond line\n\n")
    _, out, _ = run(capsys, str(toy_bundle), "--file", str(path), "--json")
    assert json.loads(out)["text"] == f"  {TEXT}\nsecond line\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"hello pipe\n")))
    _, out, _ = run(capsys, str(toy_bundle), "-", "--json")
    assert json.loads(out)["text"] == "hello pipe"


def test_a_page_is_written(toy_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "why.html"
    status, out, _ = run(capsys, str(toy_bundle), TEXT, "--html", str(page))
    assert status == 0
    assert out.endswith(f"page: {page}\n")
    assert page.read_text().startswith("<!doctype html>")


def printed(found: Explanation, width: int = 80, *, terminal: bool = False) -> str:
    file = io.StringIO()
    colours = "truecolor" if terminal else None
    show(found, Console(file=file, width=width, highlight=False, force_terminal=terminal, color_system=colours))
    return file.getvalue()


def test_colours_are_for_terminals_that_want_them(toy_classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    found = toy_classifier.explain(TEXT)
    coloured = re.compile(r"\x1b\[[\d;]*(38|48);")
    assert coloured.search(printed(found, terminal=True))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not coloured.search(printed(found, terminal=True))


def test_what_could_steer_a_terminal_is_written_out(toy_classifier: Classifier) -> None:
    out = printed(toy_classifier.explain("hello \x1b[2J \u202e \x9b31m [red]world[/red]"))
    assert {"\x1b", "\x9b", "\u202e"}.isdisjoint(out)
    assert r"\x1b[2J" in out
    found = toy_classifier.explain("hello world")
    evil = replace(found, tokens=tuple(replace(effect, token="\x9b31m\u202e") for effect in found.tokens))
    assert {"\x9b", "\u202e"}.isdisjoint(printed(evil))
    assert "[red]world[/red]" in out


def test_labels_are_no_markup(tmp_path: Path) -> None:
    model = random_model(len(WORDS) + FIRST_ID, 2)
    out = printed(load_bundle(tmp_path, model, labels=("[red]a[/red]", "[/bold]b")).explain("wa wb"))
    assert out.count("[red]a[/red]") + out.count("[/bold]b") >= 4


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_wider_than_the_terminal(toy_classifier: Classifier, width: int) -> None:
    out = printed(toy_classifier.explain(f"{TEXT} {'x' * 300} 你好 " * 12), width)
    assert max(map(len, out.splitlines())) <= width
    assert "tokens that count less are left out" in " ".join(out.split())


def test_a_text_without_answer_is_shown_and_fails(toy_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, str(toy_bundle), " \n ")
    assert status == 1
    assert out.startswith("Answer\n  no answer: nothing is left")
    assert err.startswith("sortgate: error: the text has no answer")
    assert err.count("\n") == 1


WRONG = [
    ((), "give one text"),
    (("text", "--file", "x.txt"), "give one text"),
    (("text", "--label", "nonsense"), "label 'nonsense': toy/"),
    (("text", "--method", "magic"), "'magic' is not one of"),
    (("--file", "absent.txt"), "absent.txt: No such file"),
    (("--file", "latin.txt"), "latin.txt: not UTF-8"),
    (("text", "--html", "absent/why.html"), "--html absent/why.html: No such file"),
]


@pytest.mark.parametrize(("arguments", "says"), WRONG, ids=[says for _, says in WRONG])
def test_mistakes_are_one_line(
    toy_bundle: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    status, out, err = run(capsys, str(toy_bundle), *arguments)
    assert status != 0
    assert out == ""
    assert says in err
    assert "Traceback" not in err


def test_a_bundle_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, str(tmp_path / "absent"), "text")
    assert status == 78
    assert err.count("\n") == 1

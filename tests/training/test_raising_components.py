"""A component of a plugin that raises is named as what it is: the texts are not at fault."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sortgate.cli import run

PLUGIN = """
from sortgate.plugins import hookimpl

class Strict:
    def __call__(self, text: str) -> str:
        if {condition}:
            raise KeyError(text)
        return text

    def batch(self, texts: list[str]) -> list[str]:
        return [self(text) for text in texts]

@hookimpl
def sortgate_register_normalizers(register):
    register("acme.strict.v1", Strict)
"""
WORDS = {"cold": "snow frost ice winter", "warm": "sun heat summer sand"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = [
        f"{'odd' if number % 5 == 0 else 'even'} {words.split()[number % 4]} {number},{label}"
        for label, words in WORDS.items()
        for number in range(100)
    ]
    path = tmp_path / "data.csv"
    path.write_text("\n".join(["text,label", *rows]) + "\n")
    return path


def options(tmp_path: Path, condition: str) -> list[str]:
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "strict.py").write_text(PLUGIN.format(condition=condition))
    return ["--plugins-dir", str(folder), "--set", 'text.normalizers=["acme.strict.v1"]']


def test_training_says_which_component_raised_on_how_many_texts(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = [*options(tmp_path, "'odd' in text"), "--epochs", "1", "--no-baselines", "--set", "refit=false"]
    assert run(["train", str(data), "--out", str(tmp_path / "out"), *settings]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "component acme.strict.v1" in said
    assert "failed: KeyError" in said
    assert "too long, or no tokens" not in said
    assert "odd snow" not in said, "what it raised holds a text"


def test_training_on_what_a_component_never_takes_is_its_fault(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["train", str(data), "--out", str(tmp_path / "out"), *options(tmp_path, "True")]) == 1
    assert "no text is left: component acme.strict.v1" in capsys.readouterr().err.splitlines()[-1]


def test_check_blames_the_component(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", str(data), "--json", *options(tmp_path, "'odd' in text")]) == 1
    findings = json.loads(capsys.readouterr().out)["findings"]
    (found,) = [finding for finding in findings if "acme.strict.v1" in finding["what"] and finding["part"] == "train"]
    assert found["level"] == "error"
    assert "mend the component" in found["advice"]
    assert not any("delete texts" in finding.get("advice", "") for finding in findings)

"""``sortgate plugins bench``: what it measures, marks, leaves out and refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sortgate.cli import run

PLUGIN = '''
"""Slow and fast ones, and one that must learn."""
import time
from sortgate import hookimpl

class Slow:
    "Waits for each text, and less in batches."
    def __call__(self, text):
        time.sleep(0.002)
        return text
    def batch(self, texts):
        time.sleep(0.0005 * len(texts))
        return list(texts)

class Learned:
    "Drops the tokens that it has learned; fails when it has learned none."
    def fit(self, items): self.known = {token for tokens in items for token in tokens}
    def state(self): return b""
    def restore(self, state): ...
    def __call__(self, tokens): return [token for token in tokens if token not in self.known]

class Capitals:
    "Takes its time over capitals."
    def __call__(self, text):
        if text != text.lower(): time.sleep(0.002)
        return text

class Hates:
    "Cannot learn."
    def fit(self, texts): raise KeyError(texts[0])
    def state(self): return b""
    def restore(self, state): ...
    def __call__(self, text): return text

@hookimpl
def sortgate_register_normalizers(register):
    register("zz.slow.v1", Slow)
    register("zz.hates.v1", Hates)
    register("zz.capitals.v1", Capitals)

@hookimpl
def sortgate_register_tokenizers(register):
    register.filter("zz.learned.v1", Learned)
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SORTGATE_PLUGINS", "zz.py")
    monkeypatch.delenv("SORTGATE_PLUGINS_DIR", raising=False)
    (tmp_path / "zz.py").write_text(PLUGIN)
    return tmp_path


def bench(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, dict[str, Any]]:
    assert run(["plugins", "bench", "--json", *map(str, arguments)]) == 0
    return {each["name"]: each for each in json.loads(capsys.readouterr().out)}


def test_measures_single_and_batch_form_and_marks_what_is_over_the_budget(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = bench(capsys, "--plugins-dir", folder, "--budget", 300)
    slow, words = found["zz.slow.v1"], found["sortgate.words.v1"]
    assert slow["single_us"] >= 2_000
    assert 500 <= slow["batch_us"] < 2_000
    assert slow["us"] == slow["batch_us"]
    assert slow["over_budget"]
    assert 0 < words["us"] < 300
    assert not words["over_budget"]
    assert found["zz.learned.v1"]["us"] > 0
    assert found["sortgate.threshold.v1"]["batch_us"] is None


def test_table_says_what_is_left_out_and_why(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plugins", "bench", "--plugins-dir", str(folder), "--budget", "300"]) == 0
    lines = {line.split("\t")[1]: line.split("\t") for line in capsys.readouterr().out.splitlines()}
    assert lines["name"] == ["kind", "name", "µs a text", "one by one", "in batches", "note"]
    assert lines["zz.slow.v1"][5] == "over 300 µs"
    assert "missing a required argument: 'k'" in lines["sortgate.top_k.v1"][5]
    assert lines["zz.hates.v1"][5] == "cannot learn from the texts: KeyError"


def test_names_with_parameters_and_texts_of_a_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "texts.txt").write_text("one text\n\nanother text, a little longer\n")
    name = 'sortgate.top_k.v1={"k": 2}'
    found = bench(capsys, "--texts", folder / "texts.txt", "--plugins-dir", folder, name, "zz.slow.v1")
    assert set(found) == {"sortgate.top_k.v1", "zz.slow.v1"}
    assert found["sortgate.top_k.v1"]["us"] > 0


def test_bundle_is_measured_as_it_chains_its_components(
    toy_bundle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SORTGATE_PLUGINS", raising=False)
    found = bench(capsys, "--bundle", toy_bundle)
    assert list(found) == ["sortgate.nfkc.v1", "sortgate.lowercase.v1", "sortgate.words.v1"]
    assert all(each["us"] > 0 for each in found.values())
    assert list(bench(capsys, "--bundle", toy_bundle, "sortgate.words.v1")) == ["sortgate.words.v1"]


def test_component_of_a_bundle_gets_what_those_before_it_make(
    folder: Path, make_bundle: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "texts.txt").write_text("ALL CAPITALS\n")
    chain = ("sortgate.lowercase.v1", "zz.capitals.v1")
    bundle = make_bundle(folder / "models/loud", normalizers=chain, plugins_dir=folder)
    options = ("--texts", folder / "texts.txt", "--plugins-dir", folder, "zz.capitals.v1")
    assert bench(capsys, *options)["zz.capitals.v1"]["us"] >= 2_000
    assert bench(capsys, "--bundle", bundle, *options)["zz.capitals.v1"]["us"] < 2_000


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["zz.slo.v1"], 78, "did you mean 'zz.slow.v1'?"),
        (["sortgate.top_k.v1"], 78, "missing a required argument: 'k'"),
        (["sortgate.top_k.v1={k}"], 78, "write parameters as a JSON object"),
        (["--texts", "nowhere.txt"], 1, "nowhere.txt: No such file or directory"),
        (["--texts", "empty.txt"], 1, "empty.txt: no text to measure with"),
        (["--bundle", "nowhere"], 78, "nowhere"),
    ],
)
def test_errors_are_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    arguments: list[str], status: int, message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(folder)
    (folder / "empty.txt").write_text("\n\n")
    assert run(["plugins", "bench", "--plugins-dir", str(folder), *arguments]) == status
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert message in printed.err


def test_unknown_name_of_a_bundle_gets_the_nearest(toy_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plugins", "bench", "--bundle", str(toy_bundle), "sortgate.word.v1"]) == 78
    assert "did you mean 'sortgate.words.v1'?" in capsys.readouterr().err

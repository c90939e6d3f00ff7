"""``sortgate init``, the files it writes, and presets."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sortgate.bundle import Bundle
from sortgate.cli import run
from sortgate.errors import ConfigurationError
from sortgate_training.checks.findings import Suggestion
from sortgate_training.config import TrainingConfig
from sortgate_training.loading import known_keys, load_config
from sortgate_training.presets import PRESETS
from sortgate_training.template import EXPLANATIONS, render_config, to_toml

#: Values that are none of the defaults.
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "epochs": st.integers(1, 99),
    "seed": st.integers(0, 2**63 - 2),
    "precision": st.sampled_from(["float32", "int8", "auto"]),
    "text.normalizers": st.lists(st.sampled_from(["sortgate.nfkc.v1", 'a "b"\n.v1', "é\x7f.v1"])),
    "text.tokenizer": st.just({"name": "sortgate.bpe.v1", "params": {"vocab_size": 300, "x y": [True, 1.5]}}),
    "limits.max_tokens": st.integers(1, 2000),
    "limits.truncation": st.just("head_tail"),
    "limits.head_share": st.floats(0, 1),
    "model.hidden": st.integers(1, 4096),
    "model.bidirectional": st.booleans(),
    "model.dropout": st.floats(0, 0.9),
    "ngrams.characters": st.tuples(st.integers(1, 3), st.integers(3, 9)).map(list),
    "loss.class_weights": st.sampled_from(["balanced", {"a label": 2.0, 'odd "one"': 1e-7}]),
    "optimizer.learning_rate": st.floats(1e-9, 1.0),
}


def load_text(text: str, folder: Path) -> TrainingConfig:
    file = folder / "c.toml"
    file.write_text(text, encoding="utf-8")
    return load_config(file)


@settings(max_examples=60, deadline=None)
@given(st.fixed_dictionaries({}, optional=VALUES), st.sampled_from(list(PRESETS)), st.text())
def test_a_file_gives_what_is_set_and_otherwise_the_defaults(
    tmp_path_factory: pytest.TempPathFactory, chosen: dict[str, Any], preset: str, reason: str
) -> None:
    folder = tmp_path_factory.mktemp("c")
    text = render_config([Suggestion(key, value, reason) for key, value in chosen.items()], preset, [reason])
    expected = load_config(overrides={"preset": preset, **chosen})
    assert load_text(text, folder) == expected
    # a comment that is made a line changes nothing: it is the default
    head, start, keys = text.partition("# A line without")
    spelled = head + start + re.sub(r"^# (\w+ = )", r"\1", keys, flags=re.MULTILINE)
    assert load_text(spelled, folder) == expected


def test_every_key_is_there_and_explained() -> None:
    assert set(EXPLANATIONS) == set(known_keys())
    keys = re.findall(r"^# (\w+) = ", render_config(), flags=re.MULTILINE)
    assert sorted(keys) == sorted(key.rpartition(".")[2] for key in known_keys())
    assert not re.search(r"^[^#\n\[]", render_config(), flags=re.MULTILINE)


def test_values_as_toml() -> None:
    value = {"a b": [1, 2.0, True], "c": {}, "d": 'x\n"\\\x7f é'}
    assert tomllib.loads(f"v = {to_toml(value)}")["v"] == value
    assert to_toml({"name": "a.b.v1", "params": {}}) == '"a.b.v1"'


def test_init_then_train(
    tmp_path: Path, rows: Any, write_rows: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page = [(f"<p>{text}</p> see http://a.example/x", label) for text, label in rows(200)]
    write_rows(tmp_path / "d.csv", page)
    assert run(["init", "d.csv", "--preset", "fast"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("sortgate.toml: 3 of the keys are set")
    assert "vocabulary.min_count: 200 texts are few" in captured.err
    config = load_config(Path("sortgate.toml"))
    assert (config.preset, config.model.hidden, config.vocabulary.min_count) == ("fast", 32, 1)
    assert [spec.name for spec in config.text.by_kind()["normalizer"]][1] == "sortgate.strip_html.v1"
    before = Path("sortgate.toml").read_text()
    assert "(default: 2)\nmin_count = 1\n" in before

    assert run(["init", "d.csv"]) == 78
    assert "sortgate.toml is there already: --force replaces it" in capsys.readouterr().err
    assert Path("sortgate.toml").read_text() == before

    train = ["train", "d.csv", "--config", "sortgate.toml", "--out", "toy", "-q", "--epochs", "1", "--threads", "1"]
    assert run(train) == 0
    manifest = Bundle.open(tmp_path / "toy").manifest
    assert manifest.training["preset"] == "fast"
    assert manifest.training["model"]["hidden"] == 32

    assert run(["init", "d.csv", "--force"]) == 0
    assert load_config(Path("sortgate.toml")).model == TrainingConfig().model
    capsys.readouterr()
    assert run(["init", "d.csv", "-o", "-"]) == 0
    assert capsys.readouterr().out.splitlines()[2:] == Path("sortgate.toml").read_text().splitlines()[2:]


@pytest.mark.parametrize(
    ("content", "options", "says"),
    [
        (None, [], "No such file"),
        ("text,label\nx,a\ny,a\n", [], "cannot be trained on: train: only one label"),
        ("text,label\nx,a\n", ["--text-column", "b"], "no column 'b'"),
        ("text,label\nx,a\n", ["--label-column", "b"], "no column 'b'"),
        ("text,label\nx,a\n", ["--validation", "none.csv"], "none.csv: No such file"),
        ("text,label\nx,a\n", ["--test", "none.csv"], "none.csv: No such file"),
        ("text,label\nx,a\n", ["--plugins-dir", "none"], "none"),
        ("text,label\nx1,a\ny1,a\nx2,b\ny2,b\n", ["-o", "none/c.toml"], "none/c.toml: No such file"),
        ("text,label\nx1,a\ny1,a\nx2,b\ny2,b\n", ["-o", ".", "--force"], ".: Is a directory"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    content: str | None, options: list[str], says: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path("d.csv").write_text(content)
    assert run(["init", "d.csv", *options]) != 0
    captured = capsys.readouterr()
    assert captured.err.startswith("sortgate: error: ")
    assert captured.err.count("\n") == 1
    assert says in captured.err
    assert not list(tmp_path.glob("**/*.toml"))


@pytest.mark.parametrize("command", ["init", "train"])
def test_an_unknown_preset_is_a_usage_error(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "d.csv", "--preset", "quick"]) == 2
    assert "'fast', 'balanced', 'max'" in capsys.readouterr().err


def test_a_preset_is_resolved_before_other_keys(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("preset = 'fast'\nepochs = 9\n")
    config = load_config(file, ["model.embedding=77"])
    assert (config.epochs, config.model.embedding, config.model.hidden) == (9, 77, 32)
    # a later layer's preset replaces an earlier one's, and all that is set by key stays
    config = load_config(file, ["preset=max"])
    assert (config.epochs, config.model.hidden, config.model.embedding) == (9, 128, 128)
    assert load_config(file, ["preset=max"], {"preset": "balanced"}).model == TrainingConfig().model
    with pytest.raises(ConfigurationError, match="key preset: invalid enum value 'quick'"):
        load_config(None, ["preset=quick"])
    with pytest.raises(ConfigurationError, match="preset"):
        load_config(None, ["preset=[1]"])


def test_presets_name_keys_that_exist() -> None:
    assert PRESETS["balanced"] == {}
    assert {key for values in PRESETS.values() for key in values} <= set(known_keys())
    annotation = TrainingConfig.__annotations__["preset"]
    assert set(get_args(eval(annotation, {"Literal": __import__("typing").Literal}))) == set(PRESETS)
    for name in PRESETS:
        assert load_config(overrides={"preset": name}).preset == name

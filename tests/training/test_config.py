"""The training configuration: layers, and what a mistake is answered with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sortgate.errors import ConfigurationError
from sortgate.plugins import ComponentSpec
from sortgate_training.config import TrainingConfig
from sortgate_training.loading import known_keys, load_config


def test_defaults_are_the_struct_itself() -> None:
    assert load_config() == TrainingConfig()


def test_later_layers_win(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("epochs = 3\nseed = 4\n[model]\nhidden = 32\nlayers = 2\n[text]\ntokenizer = 'a.b.v1'\n")
    config = load_config(file, ["model.hidden=64", "seed=5"], {"seed": 6, "epochs": None})
    assert (config.epochs, config.seed, config.model.hidden, config.model.layers) == (3, 6, 64, 2)
    assert config.text.tokenizer == ComponentSpec("a.b.v1")


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("model.cell=gru", "gru"),
        ('model.cell="gru"', "gru"),
        ("model.dropout=0.25", 0.25),
        ("model.bidirectional=false", False),
        ("loss.class_weights={a = 2.0}", {"a": 2.0}),
        ("text.normalizers=['a.b.v1']", [ComponentSpec("a.b.v1")]),
        ("text.tokenizer=a.b.v1", ComponentSpec("a.b.v1")),
        ("text.tokenizer={name='a.b.v1', params={n=1}}", ComponentSpec("a.b.v1", {"n": 1})),
    ],
)
def test_values_are_toml_and_words_need_no_quotes(assignment: str, expected: object) -> None:
    section, _, key = assignment.partition("=")[0].partition(".")
    assert getattr(getattr(load_config(None, [assignment]), section), key) == expected


def test_a_component_is_refined_by_its_params() -> None:
    config = load_config(None, ["text.tokenizer=a.b.v1", "text.tokenizer.params.n=3"])
    assert config.text.tokenizer == ComponentSpec("a.b.v1", {"n": 3})


@pytest.mark.parametrize(
    ("assignment", "says"),
    [
        ("model.hiden=3", "did you mean model.hidden?"),
        ("hidden=3", "did you mean model.hidden?"),
        ("epoch=3", "did you mean epochs?"),
        ("zzzzzz=3", "there are text.normalizers, "),
        ("model=3", "model is a table"),
        ("model.hidden", "write key=value"),
        ("model.hidden=0", "model.hidden: expected `int` >= 1"),
        ("model.hidden=yes", "model.hidden: expected `int`, got `str`"),
        ("model.cell=rnn", "model.cell: invalid enum value 'rnn'; there are lstm, gru"),
        ("loss.class_weights=3", "loss.class_weights"),
        ("epochs=[1", "the value is not TOML"),
        ("epochs=1\nseed=2", "one value only"),
        ("limits.max_tokens=0", "limits"),
        ("limits.truncation=tail", "limits.truncation: invalid enum value 'tail'; there are head, head_tail"),
        ("refit=yes", "refit: invalid enum value 'yes'; there are true, false, auto"),
        ("sampling=rare", "sampling: invalid enum value 'rare'; there are none, balanced, a number"),
        ("limits.truncate=head", "did you mean limits.truncation?"),
        ("limits.head_share=1.01", "limits: head_share must be a number from 0 to 1, not 1.01"),
        ("limits.head_share=nan", "head_share must be a number from 0 to 1, not nan"),
        ("limits.head_share=half", "limits.head_share: expected `float`, got `str`"),
    ],
)
def test_mistakes_are_one_line(assignment: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_config(None, [assignment])
    assert says in str(caught.value)
    assert "\n" not in str(caught.value).replace(assignment, "")


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"[model]\nhiden = 3\n", "did you mean model.hidden?"), (b"=", "not TOML"), (b"\xff", "not TOML")],
)
def test_a_bad_file_is_named(tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "c.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"c\.toml: ") as caught:
        load_config(file)
    assert says in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        load_config(tmp_path / "none.toml")


def test_what_the_manifest_keeps_can_be_read_back() -> None:
    config = load_config(None, ["model.cell=gru", "loss.class_weights=balanced", "text.filters=['a.b.v1']"])
    import msgspec

    assert msgspec.convert(config.to_dict(), TrainingConfig) == config


def test_every_key_can_be_set_to_its_own_default() -> None:
    tables = TrainingConfig().to_dict()
    overrides = {}
    for key in known_keys():
        value: object = tables
        for part in key.split("."):
            assert isinstance(value, dict)
            value = value[part]
        overrides[key] = value
    assert load_config(overrides=overrides) == TrainingConfig()


def test_the_readme_names_every_key() -> None:
    readme = (Path(__file__).parents[2] / "training/README.md").read_text(encoding="utf-8")
    tables: dict[str, list[str]] = {}
    for key in known_keys():
        table, _, name = key.rpartition(".")
        tables.setdefault(table, []).append(name)
    rows = {
        line.split("|")[1].strip(" `()"): line.split("|")[2] for line in readme.splitlines() if line.startswith("|")
    }
    for table, names in tables.items():
        listed = re.findall(r"`(\w+)`", rows[table or "top"])
        assert listed == names


@pytest.mark.parametrize(
    ("steps", "tokens", "epochs"),
    [
        (10, 5_000, 30),
        (100, 50_000, 25),
        (312, 10**6, 9),
        (624, 10**6, 5),
        (625, 10**6, 4),
        (312, 4 * 10**6, 5),
        (5000, 10**8, 4),
    ],
)
def test_few_texts_get_more_epochs_unless_they_are_long(steps: int, tokens: int, epochs: int) -> None:
    assert TrainingConfig().epochs_of(steps, tokens) == epochs
    assert TrainingConfig(epochs=3).epochs_of(steps, tokens) == 3

"""The registry's answers to good and bad names, parameters and states."""

from __future__ import annotations

from typing import Any

import pytest

from sortgate.errors import ComponentParamsError, PluginError, PluginLoadError, UnknownComponentError
from sortgate.plugins import ComponentRecord, ComponentSpec, Registry, create_registry
from sortgate.plugins.registry import Source

MINE = Source("zz-mine", "1.0", "zz_mine")


class Suffix:
    """Appends what it learned."""

    learned = ""

    def __call__(self, text: str) -> str:
        return text + self.learned

    def fit(self, texts: list[str]) -> None:
        self.learned = max(texts)

    def state(self) -> bytes:
        return self.learned.encode()

    def restore(self, state: bytes) -> None:
        self.learned = state.decode("ascii")


@pytest.fixture
def registry() -> Registry:
    return create_registry(only=())


def test_unknown_name_lists_what_exists_and_guesses(registry: Registry) -> None:
    with pytest.raises(UnknownComponentError) as caught:
        registry.create("tokenizer", ComponentSpec("sortgate.word.v1"))
    assert "did you mean 'sortgate.words.v1'?" in str(caught.value)
    assert "sortgate.bpe.v1, sortgate.characters.v1, sortgate.unigram.v1, sortgate.words.v1" in str(caught.value)


def test_component_of_another_kind(registry: Registry) -> None:
    with pytest.raises(UnknownComponentError, match=r"'sortgate\.words\.v1' is a tokenizer, not a normalizer"):
        registry.create("normalizer", ComponentSpec("sortgate.words.v1"))


def test_unknown_component_of_a_record_says_what_to_install(registry: Registry) -> None:
    with pytest.raises(UnknownComponentError, match=r"pip install zz-far==2\.1"):
        registry.restore("tokenizer", ComponentRecord("zz.far.v1", {}, "zz-far", "2.1"))
    with pytest.raises(UnknownComponentError, match=r"pip install sortgate==9\.0"):
        registry.restore("tokenizer", ComponentRecord("sortgate.far.v1", {}, "sortgate", "9.0"))


@pytest.mark.parametrize(
    ("name", "params", "complaint"),
    [
        ("sortgate.top_k.v1", {}, "missing a required argument: 'k'.*it takes: k"),
        ("sortgate.top_k.v1", {"k": 1, "n": 1}, "unexpected keyword argument 'n'"),
        ("sortgate.top_k.v1", {"k": 0}, "whole number"),
        ("sortgate.top_k.v1", {"k": True}, "whole number"),
        ("sortgate.top_k.v1", {"k": object()}, "it takes"),
        ("sortgate.threshold.v1", {"default": 2}, "from 0 to 1"),
        ("sortgate.threshold.v1", {"labels": {"a": "x"}}, r"labels\.a"),
        ("sortgate.threshold.v1", {"labels": [1]}, "must map"),
        ("sortgate.threshold.v1", {"drop": 1}, "drop"),
        ("sortgate.rename.v1", {"labels": {"a": 1}}, "new label"),
        ("sortgate.rename.v1", {"labels": ["a"]}, "must map"),
        ("sortgate.rename.v1", {"merge": "mean"}, "merge"),
    ],
)
def test_refused_parameters(registry: Registry, name: str, params: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ComponentParamsError, match=complaint) as caught:
        registry.create("postprocessor", ComponentSpec(name, params))
    assert name in str(caught.value)


def test_factory_that_fails_or_returns_no_component(registry: Registry) -> None:
    def fail() -> None:
        raise KeyError("x")

    registry.add("normalizer", "zz.fail.v1", fail, MINE)
    registry.add("normalizer", "zz.none.v1", lambda: None, MINE)
    with pytest.raises(PluginLoadError, match=r"zz\.fail\.v1.*zz-mine 1\.0.*KeyError"):
        registry.create("normalizer", ComponentSpec("zz.fail.v1"))
    with pytest.raises(PluginLoadError, match=r"zz\.none\.v1.*cannot be called"):
        registry.create("normalizer", ComponentSpec("zz.none.v1"))
    with pytest.raises(PluginLoadError, match="factory that cannot be called"):
        registry.add("normalizer", "zz.text.v1", "text", MINE)  # type: ignore[arg-type]


def test_learned_state_goes_round(registry: Registry) -> None:
    registry.add("normalizer", "zz.suffix.v1", Suffix, MINE)
    component = registry.create("normalizer", ComponentSpec("zz.suffix.v1"))
    component.fit(["a", "b"])
    record = registry.record("normalizer", ComponentSpec("zz.suffix.v1"), "state/x.bin")
    assert record.state == "state/x.bin"
    assert registry.restore("normalizer", record, component.state())("x") == "xb"


def test_state_that_is_missing_superfluous_or_unreadable(registry: Registry) -> None:
    registry.add("normalizer", "zz.suffix.v1", Suffix, MINE)
    record = registry.record("normalizer", ComponentSpec("zz.suffix.v1"))
    with pytest.raises(PluginError, match="needs its learned state"):
        registry.restore("normalizer", record)
    with pytest.raises(PluginError, match="cannot read its learned state: UnicodeDecodeError"):
        registry.restore("normalizer", record, b"\xff")
    plain = registry.record("normalizer", ComponentSpec("sortgate.nfkc.v1"))
    with pytest.raises(PluginError, match="takes no learned state"):
        registry.restore("normalizer", plain, b"x")


def test_describe(registry: Registry) -> None:
    component = registry.describe("sortgate.threshold.v1")
    assert component.params == {"default": "0.0", "labels": "None", "drop": "False"}
    assert component.doc.startswith("Abstains")
    with pytest.raises(UnknownComponentError, match="did you mean"):
        registry.describe("sortgate.treshold.v1")

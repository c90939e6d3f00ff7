"""Byte-pair encoding: learned, kept as JSON, the same again when restored, and alive in forked processes."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sortgate.components.subword import BPE

pytest.importorskip("tokenizers")

TEXTS = ["the lowest of the low", "the newest of the new", "東京の塔", "naïve café"] * 3


@pytest.fixture(scope="module")
def bpe() -> BPE:
    tokenizer = BPE(vocab_size=300)
    tokenizer.fit(TEXTS)
    return tokenizer


def test_learns_frequent_pieces(bpe: BPE) -> None:
    assert bpe("the") == ["the"]
    assert len(bpe("xyzzy")) == 5


def test_fit_is_repeatable(bpe: BPE) -> None:
    again = BPE(vocab_size=300)
    again.fit(TEXTS)
    assert again.state() == bpe.state()


@given(st.lists(st.text(), max_size=5))
@settings(deadline=None)
def test_state_round_trip_and_batches_on_any_text(bpe: BPE, texts: list[str]) -> None:
    restored = BPE(vocab_size=300)
    restored.restore(bpe.state())
    single = [bpe(text) for text in texts]
    assert restored.batch(texts) == bpe.batch(texts) == single


def test_state_is_json(bpe: BPE) -> None:
    assert json.loads(bpe.state())["model"]["type"] == "BPE"


@pytest.mark.parametrize("parameters", [{"vocab_size": 255}, {"vocab_size": "8000"}, {"min_frequency": 0}])
def test_bad_parameters(parameters: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="whole number"):
        BPE(**parameters)


def test_unfitted_and_unreadable() -> None:
    with pytest.raises(RuntimeError, match="learned nothing"):
        BPE()("a")
    with pytest.raises(Exception, match="Model missing"):
        BPE().restore(b"{}")


def test_works_after_a_fork(bpe: BPE) -> None:
    expected = bpe.batch(TEXTS)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply_async(_tokenize, (bpe.state(),)).get(timeout=60) == expected


def _tokenize(state: bytes) -> list[list[str]]:
    tokenizer = BPE()
    tokenizer.restore(state)
    return tokenizer.batch(TEXTS)


def test_the_library_is_imported_only_when_needed() -> None:
    code = "import sys, sortgate.components.builtin; assert 'tokenizers' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_library_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from sortgate.errors import PluginLoadError

    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(PluginLoadError, match=r'pip install "sortgate\[subword\]"'):
        BPE()

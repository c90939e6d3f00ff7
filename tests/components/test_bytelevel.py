"""Tokenizing word by word says what the library says of whole texts, whatever stands in them."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sortgate.components import bytelevel
from sortgate.components.subword import BPE
from sortgate.components.unigram import Unigram

pytest.importorskip("tokenizers")

TRAINING = [
    "the lowest of the low, isn't it?",
    "the newest of the new costs 12.50!",
    "東京の塔",
    "naïve café \u2019s",
    "runs    of      spaces   are pieces  ",
] * 3
PIECES = [
    "the", "lowest", "it's", "'ll", "1", "12.50", "中文", "é", "e\u0301", "!", "?!", "_", "\U0001f600", " ", "  ",
    "   ", "\t", "\n", "\r\n", "\x85", "\u00a0", "\u2003", "\u2028", "\u200b", "\ufeff", "\x1c", "\x00", "ﬁ", "²", "٣"
]  # fmt: skip
TEXTS = st.one_of(
    st.text(), st.lists(st.sampled_from(PIECES)).map("".join), st.lists(st.sampled_from(PIECES)).map(" ".join)
)


@pytest.fixture(scope="module", params=[BPE, Unigram])
def tokenizer(request: pytest.FixtureRequest) -> BPE | Unigram:
    made: BPE | Unigram = request.param(vocab_size=300)
    made.fit(TRAINING)
    return made


def test_as_of_the_whole_text(tokenizer: BPE | Unigram) -> None:
    words = tokenizer._fitted()

    @given(TEXTS)
    @example("the low " * 1_000)
    @example(" the low")
    @settings(deadline=None, max_examples=500)
    def check(text: str) -> None:
        assert tokenizer(text) == words.tokenizer.encode(text, add_special_tokens=False).tokens

    check()


def test_what_is_kept_is_bounded_and_goes_when_something_else_is_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bytelevel, "MOST_WORDS", 3)
    tokenizer = BPE(vocab_size=300)
    tokenizer.fit(TRAINING)
    for text in ("a b c d e", "x" * 33, "the"):
        assert "".join(tokenizer(text)) == text.replace(" ", "Ġ")
    assert list(tokenizer._fitted()) == [" d", " e", "the"]
    assert tokenizer("the") == ["the"]
    tokenizer.fit(["xyz"])
    assert tokenizer("the") == ["t", "h", "e"]

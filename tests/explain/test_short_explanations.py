"""What a worker adds to a result: the same figures, in bounds, and never at the cost of the answer."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sortgate.errors import MessageError
from sortgate.explain.short import MOST_CHARACTERS, MOST_PIECES, short_explanations
from sortgate.inference import Classifier
from sortgate.messages import parse_request, parse_result, request_fields
from sortgate.types import Result, ShortExplanation
from sortgate.worker.answer import answer_batch

ENTRY = "1700000000000-0"


def ask(classifier: Classifier, texts: list[str], **fields: str) -> list[Result]:
    entries = []
    for number, text in enumerate(texts):
        flat = [part.encode() for pair in request_fields(text, str(number), **fields).items() for part in pair]
        entries.append((2, ENTRY, flat))
    answers, _ = answer_batch(classifier, "q", 1700000000005, entries, 65_536)
    return [parse_result(zip(fields[::2], fields[1::2], strict=True)) for *_, fields in answers]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from(["hello", "world", "word7", "unheard", "please", "the"]), min_size=1, max_size=40))
def test_it_says_what_the_long_one_says(toy_classifier: Classifier, words: list[str]) -> None:
    text = " ".join(words)
    (result,) = ask(toy_classifier, [text], explain="1")
    short, full = result.explanation, toy_classifier.explain(text, method="occlusion")
    assert short is not None
    assert short.skipped is None
    assert (short.label, short.truncated) == (full.label, 0)
    assert short.score == pytest.approx(full.score, rel=1e-3)
    assert [piece.text for piece in short.tokens] == words
    for piece, effect in zip(short.tokens, full.tokens, strict=True):
        assert piece.unknown == (not effect.known)
        assert piece.occlusion == pytest.approx(effect.occlusion, abs=2e-4, rel=1e-3)
        assert piece.without == pytest.approx(effect.without, abs=1e-4)
        assert piece.score == pytest.approx(effect.score, abs=1e-4)


@pytest.mark.parametrize("explain", ["0", ""])
def test_nobody_gets_one_without_asking(toy_classifier: Classifier, explain: str) -> None:
    for fields in ({}, {"explain": explain}):
        (result,) = ask(toy_classifier, ["hello"], **fields)
        assert (result.status, result.explanation) == ("ok", None)


@pytest.mark.parametrize("explain", ["2", "true", "yes"])
def test_another_value_is_refused(toy_classifier: Classifier, explain: str) -> None:
    (result,) = ask(toy_classifier, ["hello"], explain=explain)
    assert (result.status, result.code) == ("rejected", "bad_field")
    assert "explain must be 0 or 1" in str(result.message)


def test_answers_are_the_same_with_and_without(toy_classifier: Classifier) -> None:
    texts = ["hello world", "", "please help me", "word3 " * 300]
    for plain, explained in zip(ask(toy_classifier, texts), ask(toy_classifier, texts, explain="1"), strict=True):
        assert (plain.status, plain.label, plain.score, plain.labels) == (
            explained.status, explained.label, explained.score, explained.labels
        )  # fmt: skip
        assert (explained.explanation is not None) == (explained.status == "ok")


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=300) | st.just("😀" * 300),
        min_size=1,
        max_size=900,
    )
)
def test_it_is_bounded(toy_classifier: Classifier, words: list[str]) -> None:
    (result,) = ask(toy_classifier, [" ".join(words)[:15_000]], explain="1")
    if result.status == "ok":
        assert result.explanation is not None
        assert 1 <= len(result.explanation.tokens) <= MOST_PIECES
        assert len(msgspec.json.encode(result.explanation)) <= 16_000


def test_spans_of_a_long_text_cover_it(toy_classifier: Classifier) -> None:
    words = ["word1", "unheard"] * 70
    (short,) = short_explanations(toy_classifier, [" ".join(words)])
    assert len(short.tokens) == MOST_PIECES
    assert sum(piece.unknown for piece in short.tokens) == 70
    assert " ".join(piece.text for piece in short.tokens).split() == words


def test_long_words_are_cut(toy_classifier: Classifier) -> None:
    (short,) = short_explanations(toy_classifier, [f"hello {'x' * 5_000}"])
    assert [piece.text for piece in short.tokens] == ["hello", "x" * (MOST_CHARACTERS - 1) + "…"]


def test_a_batch_has_so_much_time(toy_classifier: Classifier) -> None:
    found = list(short_explanations(toy_classifier, ["hello"] * 3, batch_s=-1.0))
    assert [bool(short.skipped) for short in found] == [True] * 3
    assert "were spent" in str(found[0].skipped)


def test_what_goes_wrong_is_said_without_the_text(toy_classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise MemoryError("hello secret")

    monkeypatch.setattr("sortgate.explain.short.occluded", fail)
    (result,) = ask(toy_classifier, ["hello secret"], explain="1")
    assert result.status == "ok"
    assert result.explanation == ShortExplanation(skipped="explaining failed: MemoryError")


def test_a_result_with_a_broken_explanation_is_told() -> None:
    fields = {"v": "1", "id": "a", "status": "ok", "explanation": "[]"}
    with pytest.raises(MessageError, match="not a result"):
        parse_result(fields)


def test_the_flag_is_read() -> None:
    flat = [part.encode() for pair in request_fields("t", "1", explain="1").items() for part in pair]
    assert parse_request(ENTRY, flat, "q").explain
    assert not parse_request(ENTRY, [*flat[:-1], b"0"], "q").explain

"""Requests to answers: every message gets exactly one typed answer, never an exception."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sortgate.encoded import Encoded
from sortgate.messages import parse_request, parse_result, request_fields
from sortgate.types import Status
from sortgate.worker.answer import answer_batch, dead_answer
from sortgate.worker.figures import WAIT_S

if TYPE_CHECKING:
    from sortgate.inference import Classifier

ENTRY = "1700000000000-0"


def flat(**fields: str | bytes) -> list[bytes]:
    out: list[bytes] = []
    for name, value in fields.items():
        out += (name.encode(), value if isinstance(value, bytes) else value.encode())
    return out


def answer(classifier: Classifier, fields: list[bytes], now_ms: int = 1700000000005) -> tuple[str, dict[str, str]]:
    [(stream, entry, _, _, status, result)], _ = answer_batch(classifier, "q", now_ms, [(2, ENTRY, fields)], 65_536)
    assert (stream, entry) == (2, ENTRY)
    return status, dict(zip(result[::2], result[1::2], strict=True))


BAD: list[tuple[list[bytes], Status, str]] = [
    (flat(text="hello"), "rejected", "bad_version"),
    (flat(v="2", text="hello"), "rejected", "bad_version"),
    (flat(v="1"), "rejected", "no_text"),
    (flat(v="1", text=b"\xff\xfe"), "rejected", "not_utf8"),
    (flat(v="1", text="x" * 65_537), "rejected", "text_too_long"),
    (flat(v="1", text="\ufdfa" * 10_000), "error", "text_too_long"),
    (flat(v="1", text=""), "error", "empty_text"),
    (flat(v="1", text="  \u200b\n"), "error", "empty_text"),
    (flat(v="1", text="hello", id="i" * 257), "rejected", "bad_field"),
    (flat(v="1", text="hello", meta="m" * 16_385), "rejected", "bad_field"),
    (flat(v="1", text="hello", deadline="soon"), "rejected", "bad_field"),
    (flat(v="1", text="hello", deadline="-5"), "rejected", "bad_field"),
    (flat(v="1", text="hello", deadline="1"), "expired", "deadline"),
    (flat(v="1", text="hello", reply="other:key"), "rejected", "bad_reply"),
    (flat(v="1", text="hello", reply="sortgate:{other}:reply:x"), "rejected", "bad_reply"),
    (flat(v="1", text="hello", model="20000101T000000Z"), "rejected", "wrong_model"),
    ([], "rejected", "bad_version"),
    ([b"v", b"1", b"text"], "rejected", "no_text"),
]


@pytest.mark.parametrize(("fields", "status", "code"), BAD, ids=[f"{c}-{i}" for i, (_, _, c) in enumerate(BAD)])
def test_bad_messages_get_a_typed_result(
    toy_classifier: Classifier, fields: list[bytes], status: str, code: str
) -> None:
    found, result = answer(toy_classifier, fields)
    assert (found, result["status"], result["code"]) == (status, status, code)
    assert result["message"]
    assert "label" not in result


def test_a_batch_comes_with_its_figures(toy_classifier: Classifier) -> None:
    texts = ["hello", "hello world please help", "  "]
    entries = [(2, f"{1700000000000 - 400 * i}-0", flat(v="1", text=text)) for i, text in enumerate(texts)]
    entries.append((2, ENTRY, flat(v="2", text="of another version")))
    _, figures = answer_batch(toy_classifier, "q", 1700000000020, entries, 65_536)
    ids = [len(item) for item in toy_classifier.text_path.encode(texts[:2]) if isinstance(item, Encoded)]
    assert figures.tokens == sum(ids) == 5
    # both in one sub-batch, or each in its own
    assert figures.padding in (2 * max(ids) - sum(ids), 0)
    assert 0.0 < figures.model_s < figures.batch_s
    assert figures.wait_s == pytest.approx(0.02 + 0.42 + 0.82 + 0.02)
    assert {bound: count for bound, count in zip((*WAIT_S, None), figures.waits, strict=True) if count} == {
        0.025: 2, 0.5: 1, 1.0: 1,
    }  # fmt: skip


def test_good_message_carries_label_model_and_timings(toy_classifier: Classifier) -> None:
    status, result = answer(toy_classifier, flat(v="1", text="hello there", id="a", meta="M", strange="field"))
    assert status == "ok"
    parsed = parse_result(result)
    assert parsed.label == parsed.labels[0].label
    assert parsed.score == pytest.approx(parsed.labels[0].score, abs=1e-5)
    assert (parsed.id, parsed.meta, parsed.model) == ("a", "M", toy_classifier.model_name)
    assert parsed.fingerprint == toy_classifier.fingerprint
    assert parsed.queued_ms == 5.0


@pytest.mark.parametrize("pin", ["version", "fingerprint", "name"])
def test_a_pinned_model_answers(toy_classifier: Classifier, pin: str) -> None:
    name = toy_classifier.model_name
    value = {"version": name.partition("/")[2], "fingerprint": toy_classifier.fingerprint, "name": name}[pin]
    assert answer(toy_classifier, flat(v="1", text="hello", model=value))[0] == "ok"


def test_a_bad_message_does_not_disturb_its_neighbours(toy_classifier: Classifier) -> None:
    good = flat(v="1", text="hello there")
    alone = answer(toy_classifier, good)[1]["label"]
    entries = [(2, f"170000000000{i}-0", fields) for i, fields in enumerate([good, *[b for b, _, _ in BAD], good])]
    answers, _ = answer_batch(toy_classifier, "q", 1700000000005, [(s, e, f) for s, e, f in entries], 65_536)
    assert [entry for _, entry, *_ in answers] == [entry for _, entry, _ in entries]
    assert [status for *_, status, _ in answers] == ["ok", *[status for _, status, _ in BAD], "ok"]
    labels = [dict(zip(f[::2], f[1::2], strict=True)).get("label") for *_, f in answers]
    assert labels[0] == labels[-1] == alone


@given(st.lists(st.binary(max_size=40), max_size=12))
def test_parsing_never_raises(fields: list[bytes]) -> None:
    request = parse_request(ENTRY, fields, "q")
    assert request.problem is not None or request.text is not None
    assert request.id


@given(
    text=st.text(max_size=200).filter(lambda t: t.isprintable()),
    ident=st.text(min_size=1, max_size=20, alphabet=st.characters(codec="utf-8")),
    deadline=st.none() | st.integers(0, 10**14),
)
def test_what_a_client_sends_is_what_a_worker_reads(text: str, ident: str, deadline: int | None) -> None:
    fields = request_fields(text, ident, deadline=deadline)
    request = parse_request(ENTRY, flat(**fields), "q")
    assert request.problem is None
    assert (request.text, request.id, request.dedupe_id, request.deadline_ms) == (text, ident, ident, deadline)


def test_a_requeue_is_not_deduplicated() -> None:
    request = parse_request(ENTRY, flat(v="1", text="t", id="a", requeue_of="1-0"), "q")
    assert (request.id, request.dedupe_id, request.requeue_of) == ("a", "", "1-0")


def test_dead_answer_reaches_the_reply_stream() -> None:
    reply = "sortgate:{q}:reply:c"
    fields = flat(v="1", text="t", id="a", reply=reply, meta="m")
    stream, entry, dedupe, to, status, result = dead_answer(1, ENTRY, fields, "q", "worker_lost", "died", 100)
    assert (stream, entry, dedupe, to, status) == (1, ENTRY, "a", reply, "dead")
    parsed = parse_result(zip(result[::2], result[1::2], strict=True))
    assert (parsed.status, parsed.code, parsed.meta) == ("dead", "worker_lost", "m")
    assert b"score" not in msgspec.json.encode(parsed), "it has none, so `sortgate results` prints none"

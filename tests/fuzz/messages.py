"""Fuzzes the message decoder: whatever stands in a stream, reading it ends in a value or in the error that is promised.

Examples:
  python tests/fuzz/messages.py --minutes 60
  python tests/fuzz/messages.py --target results --seed 7 --minutes 0
"""

from __future__ import annotations

import pickle
from itertools import chain

from hypothesis import strategies as st

from fuzzing import Target, fuzz, main
from sortgate import keys
from sortgate.errors import MessageError
from sortgate.messages import _KNOWN, MAX_ID_BYTES, parse_request, parse_result, request_fields, result_fields
from sortgate.types import LabelScore, Prediction, Result

QUEUE, ENTRY, MAX_TEXT = "toy", "1700000000000-0", 300
CODES = {"text_too_long", "bad_field", "not_utf8", "bad_reply", "bad_version", "no_text"}

_values = st.one_of(
    st.binary(max_size=40),
    st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.sampled_from(
        [b"", b"1", b"-1", b"1_0", b"\xd9\xa1", b"1e9", b"\xff", b"\xed\xa0\x80", b"\0", pickle.dumps(["x"])]
    ),
    st.integers(0, 20_000).map(lambda size: b"x" * size),
    st.integers().map(lambda number: str(number).encode()),
    st.sampled_from([keys.reply_prefix(QUEUE), keys.reply_prefix("other")]).flatmap(
        lambda prefix: st.text(max_size=9).map(lambda rest: (prefix + rest).encode("utf-8", "surrogatepass"))
    ),
)
_names = st.one_of(st.sampled_from(sorted(_KNOWN)), st.binary(max_size=20))
_flat = st.lists(st.one_of(_names, _values), max_size=24)
_pairs = st.dictionaries(_names, _values, max_size=14).map(
    lambda pairs: [part for pair in pairs.items() for part in pair]
)
_nearly = st.builds(
    lambda good, changes: [part for pair in ({**good, **changes}).items() for part in pair],
    st.text(max_size=400).map(lambda text: {b"v": b"1", b"text": text.encode("utf-8", "surrogatepass")}),
    st.dictionaries(_names, _values, max_size=3),
)


def _with_another_text(fields: list[bytes], unchanged: str) -> str:
    """Return what is said of the same request with another text of the same length."""
    values = dict(zip(fields[::2], fields[1::2], strict=False))
    try:
        values[b"text"].decode()
    except (KeyError, UnicodeDecodeError):
        return unchanged
    values[b"text"] = b"z" * len(values[b"text"])
    problem = parse_request(ENTRY, list(chain.from_iterable(values.items())), QUEUE, MAX_TEXT).problem
    assert problem is not None
    return problem[1]


@fuzz(fields=st.one_of(_flat, _pairs, _nearly))
def requests(fields: list[bytes]) -> None:
    """A request never raises, is answerable, and never quotes its text."""
    request = parse_request(ENTRY, fields, QUEUE, MAX_TEXT)
    assert request.id == ENTRY or 0 < len(request.id.encode()) <= MAX_ID_BYTES
    assert not request.reply or request.reply.startswith(keys.reply_prefix(QUEUE))
    assert len(request.text.encode()) <= MAX_TEXT
    if request.problem is not None:
        code, message = request.problem
        assert code in CODES
        assert request.text == ""
        assert len(message) < 300
        assert message == _with_another_text(fields, message), "the message depends on what the text says"
    prediction = Prediction("a", 0.5, (LabelScore("a", 0.5),))
    for status in ("ok", "rejected"):
        answer = result_fields(request, status, prediction=prediction, code="c", message="m")
        assert all(isinstance(part, str) and part.encode() is not None for part in answer)
        result = parse_result(zip(answer[::2], answer[1::2], strict=True))
        assert (result.id, result.status, result.meta) == (request.id, status, request.meta)


_good_result = {"v": "1", "id": "t", "status": "ok", "label": "a", "score": "0.5", "labels": '[["a",0.5]]'}
_strings = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["", "nan", "1e999", "-0", "1_0", "[[]]", '[["a"]]', '[["a",1e999]]', '[["a",NaN]]', "\ud800"]),
    st.integers(1, 200_000).map(lambda depth: "[" * depth),
    st.integers(1, 200_000).map(lambda depth: '{"a":' * depth),
    st.integers(1, 5_000).map(lambda digits: "9" * digits),
)
_result_names = st.one_of(st.sampled_from(sorted({*Result.__struct_fields__, "v"})), st.text(max_size=9))


@fuzz(changes=st.dictionaries(_result_names, _strings, max_size=12), nearly=st.booleans())
def results(changes: dict[str, str], nearly: bool) -> None:
    """What a client reads is a result, or a :class:`MessageError`."""
    try:
        result = parse_result({**_good_result, **changes} if nearly else changes)
    except MessageError:
        return
    assert isinstance(result.score, float)


@fuzz(text=st.text(), ident=st.text(max_size=MAX_ID_BYTES // 4))
def round_trip(text: str, ident: str) -> None:
    """What the client sends is what the worker reads."""
    fields = [part.encode() for pair in request_fields(text, ident).items() for part in pair]
    request = parse_request(ENTRY, fields, QUEUE, 1_000_000)
    assert (request.text, request.id, request.problem) == (text, ident or ENTRY, None)


TARGETS: dict[str, Target] = {"requests": requests, "results": results, "round_trip": round_trip}

if __name__ == "__main__":
    main(TARGETS, __doc__)

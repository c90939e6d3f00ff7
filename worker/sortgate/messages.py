"""Wire format 1: what a request on a stream may hold and what a result holds (specified in docs/wire-format.md).

Every field is a UTF-8 string. A request that breaks the format is still parsed as far as it goes, because it
must be answered: :func:`parse_request` never raises, it returns the reason in :attr:`Request.problem`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from sortgate import keys
from sortgate.errors import MessageError
from sortgate.types import LabelScore, Prediction, Result, ShortExplanation, Status

WIRE_VERSION = "1"
MAX_ID_BYTES = 256
MAX_META_BYTES = 16_384
#: Seconds ahead; three thousand years, of which Redis's milliseconds still have the 15 digits of the field.
MAX_DEADLINE_S = 100_000_000_000
#: Of every other field but the text.
MAX_FIELD_BYTES = 1024

#: Name on the wire → name, and most bytes; the text's bound is a setting.
_KNOWN: dict[bytes, tuple[str, int]] = {
    name.encode(): (name, {"id": MAX_ID_BYTES, "meta": MAX_META_BYTES}.get(name, MAX_FIELD_BYTES))
    for name in (
        "v",
        "text",
        "id",
        "reply",
        "deadline",
        "model",
        "meta",
        "producer",
        "explain",
        "traceparent",
        "requeue_of",
    )
}
_RESULT_FIELDS = frozenset(Result.__struct_fields__) | {"v"}
_labels_decoder = msgspec.json.Decoder(tuple[LabelScore, ...])
_explanation_decoder = msgspec.json.Decoder(ShortExplanation)


class Request(msgspec.Struct, frozen=True):
    """One request as read from a stream.

    Attributes:
        id: the producer's id, else the entry's.
        text: the text to classify; empty when ``problem`` is set.
        dedupe_id: the id under which answers are de-duplicated; empty when the producer gave none, or for a requeue.
        reply: key of the reply stream, empty for the queue's result stream.
        deadline_ms: Unix time in milliseconds by Redis's clock after which no answer is wanted.
        model: version or fingerprint of the bundle that must answer.
        explain: the result is to hold an explanation.
        unknown: number of fields this version does not know.
        problem: code and sentence when the request breaks the format.
    """

    id: str
    text: str = ""
    dedupe_id: str = ""
    reply: str = ""
    deadline_ms: int | None = None
    model: str | None = None
    meta: str | None = None
    requeue_of: str | None = None
    explain: bool = False
    unknown: int = 0
    problem: tuple[str, str] | None = None


def parse_request(entry: str, fields: Sequence[bytes], queue: str, max_text_bytes: int = 65_536) -> Request:
    """Read the flat ``[field, value, …]`` list of stream entry ``entry``."""
    raw: dict[bytes, bytes] = dict(zip(fields[::2], fields[1::2], strict=False))
    values: dict[str, str] = {}
    problem: tuple[str, str] | None = None
    unknown = 0
    for name, value in raw.items():
        known = _KNOWN.get(name)
        if known is None:
            unknown += 1
            continue
        key, limit = known
        if key == "text":
            limit = max_text_bytes
        if len(value) > limit:
            code = "text_too_long" if key == "text" else "bad_field"
            problem = (code, f"field {key} has {len(value)} bytes, the limit is {limit}")
            continue
        try:
            values[key] = value.decode()
        except UnicodeDecodeError:
            problem = ("not_utf8", f"field {key} is not UTF-8")
    ident, reply, meta = values.get("id", ""), values.get("reply", ""), values.get("meta")
    if reply and not reply.startswith(keys.reply_prefix(queue)):
        problem = ("bad_reply", f"field reply must name a stream under {keys.reply_prefix(queue)}")
        reply = ""
    deadline: int | None = None
    if problem is None:
        problem, deadline = _check(values, raw)
    return Request(
        id=ident or entry,
        text="" if problem else values["text"],
        dedupe_id="" if "requeue_of" in values else ident,
        reply=reply,
        deadline_ms=deadline,
        model=values.get("model") or None,
        meta=meta,
        requeue_of=values.get("requeue_of"),
        explain="explain" in values and values["explain"] == "1",
        unknown=unknown,
        problem=problem,
    )


def _check(values: Mapping[str, str], raw: Mapping[bytes, bytes]) -> tuple[tuple[str, str] | None, int | None]:
    version = values.get("v")
    if version != WIRE_VERSION:
        found = "missing" if version is None else f"{version[:20]!r}"
        return ("bad_version", f"field v is {found}; this worker speaks {WIRE_VERSION}"), None
    if b"text" not in raw:
        return ("no_text", "there is no field text"), None
    if "explain" in values and values["explain"] not in {"", "0", "1"}:
        return ("bad_field", "field explain must be 0 or 1"), None
    deadline = values.get("deadline")
    if deadline:
        # int() would take "1_0", " 7" and digits of every script
        if not (deadline.isascii() and deadline.isdigit() and len(deadline) <= 15):
            return ("bad_field", "field deadline must be a Unix time in whole milliseconds"), None
        return None, int(deadline)
    return None, None


def result_fields(
    request: Request,
    status: Status,
    prediction: Prediction | None = None,
    code: str | None = None,
    message: str | None = None,
    origin: Sequence[str] = (),
    queued_ms: float = 0.0,
    batch_ms: float = 0.0,
) -> list[str]:
    """Return the flat field list of the result that answers ``request``; ``origin`` are the fields of the bundle."""
    fields = ["v", WIRE_VERSION, "id", request.id, "status", status]
    if prediction is not None and status == "ok":
        if prediction.label is not None:
            fields += ("label", prediction.label)
        labels = msgspec.json.encode(prediction.labels).decode()
        fields += ("score", f"{prediction.score:.6g}", "labels", labels)
    fields += origin
    if code:
        fields += ("code", code, "message", message or "")
    if request.meta is not None:
        fields += ("meta", request.meta)
    if request.requeue_of:
        fields += ("requeue_of", request.requeue_of)
    fields += ("queued_ms", f"{queued_ms:.1f}", "batch_ms", f"{batch_ms:.1f}")
    return fields


def request_fields(text: str, ident: str, **options: str | int | None) -> dict[str, str]:
    """Return the fields of a request; options that are None are left out.

    Raises:
        MessageError: ``text`` or ``id`` cannot be sent.
    """
    if not isinstance(text, str):
        raise MessageError("bad_field", f"a text must be a str, not {type(text).__name__}")
    fields = {"v": WIRE_VERSION, "id": ident, "text": text}
    fields.update((name, str(value)) for name, value in options.items() if value is not None)
    return fields


def parse_result(fields: Mapping[str, str] | Iterable[tuple[str, str]]) -> Result:
    """Read the fields of an entry of a result or reply stream.

    Raises:
        MessageError: the entry is not a result of wire format 1.
    """
    values = dict(fields)
    try:
        labels = _labels_decoder.decode(values["labels"]) if values.get("labels") else ()
        known: dict[str, Any] = {
            "id": values["id"],
            "status": values["status"],
            "label": values.get("label"),
            "labels": labels,
        }
        for name in ("score", "queued_ms", "batch_ms"):
            if name in values:  # else the default stays, which is left out where a result is encoded
                known[name] = float(values[name])
        for name in ("model", "fingerprint", "code", "message", "meta", "undelivered_to", "requeue_of"):
            known[name] = values.get(name)
        if "explanation" in values:
            known["explanation"] = _explanation_decoder.decode(values["explanation"])
        return Result(**known, extra={k: v for k, v in values.items() if k not in _RESULT_FIELDS})
    except (KeyError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise MessageError("bad_result", f"not a result of wire format {WIRE_VERSION}: {error!r}") from None

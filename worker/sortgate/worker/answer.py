"""Answers one batch of requests with a classifier; runs in a pool process and knows neither Celery nor Redis."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from sortgate.messages import Request, parse_request, result_fields
from sortgate.types import Status
from sortgate.worker.figures import BatchFigures, count_waits

if TYPE_CHECKING:
    from sortgate.inference import Classifier

#: One answered entry for commit.lua: stream number, entry, de-duplication id, reply stream, status, result fields.
Answer = tuple[int, str, str, str, str, list[str]]

_encoder = msgspec.msgpack.Encoder()


def pack_answers(answers: list[Answer]) -> bytes:
    """Return the msgpack argument of commit.lua; strings only, since Redis's cmsgpack has no binary type."""
    return _encoder.encode(answers)


def answer_batch(
    classifier: Classifier,
    queue: str,
    now_ms: int,
    entries: list[tuple[int, str, list[bytes]]],
    max_text_bytes: int,
) -> tuple[list[Answer], BatchFigures]:
    """Classify a batch; every entry gets exactly one answer, in the order given, and the batch its figures.

    Args:
        now_ms: Unix time in milliseconds by Redis's clock when the batch was handed over.
        entries: stream number, entry id and flat field list of each request.
    """
    started = time.perf_counter()
    before, done = classifier.spent.copy(), classifier.text_path.work()
    requests = [parse_request(entry, fields, queue, max_text_bytes) for _, entry, fields in entries]
    refused = [refusal(request, classifier, now_ms) for request in requests]
    texts = [request.text for request, no in zip(requests, refused, strict=True) if no is None]
    predictions = iter(classifier(texts)) if texts else iter(())
    batch_ms = (time.perf_counter() - started) * 1000.0

    origin = ("model", classifier.model_name, "fingerprint", classifier.fingerprint)
    answers: list[Answer] = []
    failed: list[tuple[str, str, str, str]] = []
    waits_ms = [max(0.0, now_ms - entry_ms(entry)) for _, entry, _ in entries]
    for (stream, entry, _), request, no, queued_ms in zip(entries, requests, refused, waits_ms, strict=True):
        status: Status = "ok"
        code = message = prediction = None
        if no is not None:
            status, code, message = no
        else:
            prediction = next(predictions)
            if prediction.error is not None:
                status, code, message = "error", prediction.error.code, prediction.error.message
        if code is not None:
            failed.append((request.id, status, code, message or ""))
        fields = result_fields(request, status, prediction, code, message, origin, queued_ms, batch_ms)
        answers.append((stream, entry, request.dedupe_id, request.reply, status, fields))
    spent = classifier.spent
    tokens = spent.tokens - before.tokens
    figures = BatchFigures(
        tokens=tokens,
        padding=spent.ids - before.ids - tokens,
        model_s=spent.model_s - before.model_s,
        batch_s=time.perf_counter() - started,
        waits=count_waits(waits_ms),
        wait_s=sum(waits_ms) / 1000.0,
        shared=spent.shared - before.shared,
        components=classifier.text_path.work_since(done),
        failed=failed,
    )
    asked = [number for number, request in enumerate(requests) if request.explain]
    if asked:
        _explain(classifier, [(requests[n].text, answers[n][-1]) for n in asked if answers[n][-2] == "ok"])
    return answers, figures


def _explain(classifier: Classifier, asked: list[tuple[str, list[str]]]) -> None:
    """Add an explanation to each result's fields; one that fails says so, and the result stays what it is."""
    from sortgate.explain.short import short_explanations  # batches that ask for none need none of it

    made = short_explanations(classifier, [text for text, _ in asked])
    for (_, fields), explanation in zip(asked, made, strict=True):
        fields += ("explanation", msgspec.json.encode(explanation).decode())


def refusal(request: Request, classifier: Classifier, now_ms: int) -> tuple[Status, str, str] | None:
    """Return status, code and message of a request that is not classified; None when it is."""
    if request.problem is not None:
        return ("rejected", *request.problem)
    if request.deadline_ms is not None and request.deadline_ms < now_ms:
        return ("expired", "deadline", f"the deadline passed {now_ms - request.deadline_ms} ms ago")
    if request.model is not None and request.model not in classifier.identities:
        return ("rejected", "wrong_model", f"this queue is served by {classifier.model_name}")
    return None


def dead_answer(
    stream: int, entry: str, fields: list[bytes], queue: str, code: str, message: str, max_text_bytes: int
) -> Answer:
    """Return the answer to a request that no process survived."""
    request = parse_request(entry, fields, queue, max_text_bytes)
    answer = result_fields(request, "dead", code=code, message=message)
    return (stream, entry, request.dedupe_id, request.reply, "dead", answer)


def entry_ms(entry: str) -> int:
    """Return the Unix milliseconds at which Redis took the entry; producers let Redis choose ids (``*``)."""
    return int(entry.partition("-")[0])

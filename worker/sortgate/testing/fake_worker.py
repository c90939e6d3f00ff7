"""The fake worker: answers a queue as a worker does, with labels given by a function instead of a model."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self


class FakeWorker:
    """Answers a queue as a worker does, labels given by a function; a thread of this process.

    It reads and commits with the worker's own scripts, so de-duplication, reply streams and dead letters are real.

    Args:
        url: Redis.
        queue: name of the queue.
        label: text to label; what it raises is answered as ``error`` with code ``component_failed``.
        batch: most texts taken from each priority at a time.
    """

    model = "fake/1"
    fingerprint = "0" * 32

    def __init__(self, url: str, queue: str, label: Callable[[str], str | None], *, batch: int = 100) -> None:
        self._url = url
        self._queue = queue
        self._label = label
        self._batch = batch
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sortgate-fake-worker", daemon=True)
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self._failure is not None and kind is None:
            raise self._failure

    def _run(self) -> None:
        import redis

        with redis.Redis.from_url(self._url, protocol=2, socket_timeout=5.0) as client:
            client.response_callbacks.clear()
            try:
                while not self._stop.is_set():
                    if not self._turn(client):
                        self._stop.wait(0.002)
            except BaseException as error:  # handed to the test by __exit__
                self._failure = error

    def _turn(self, client: Any) -> bool:
        from sortgate import keys
        from sortgate.settings import Settings
        from sortgate.streams.scripts import run_script
        from sortgate.types import PRIORITIES

        queue, settings = self._queue, Settings()
        streams = [keys.requests(queue, priority) for priority in PRIORITIES]
        seconds, microseconds = client.execute_command("TIME")
        entries = [
            (number, entry, fields)
            for number, stream in enumerate(streams, 1)
            for entry, fields in self._read(client, stream)
        ]
        if not entries:
            return False
        answers = self._answer(entries, int(seconds) * 1000 + int(microseconds) // 1000)
        everything = [*streams, keys.results(queue), keys.dead(queue), keys.seen(queue), keys.counters(queue)]
        window_ms = round(settings.dedupe_window_s * 1000)
        run_script(
            client, "commit", everything, keys.GROUP, window_ms, settings.dedupe_limit, settings.reply_limit,
            3_600_000, 100_000, 604_800_000, answers,
        )  # fmt: skip
        return True

    def _read(self, client: Any, stream: str) -> list[tuple[bytes, list[bytes]]]:
        import redis

        from sortgate import keys
        from sortgate.streams.scripts import run_script

        group = ("GROUP", keys.GROUP, "fake", "COUNT", self._batch)
        try:
            reply = client.execute_command("XREADGROUP", *group, "STREAMS", stream, ">")
        except redis.ResponseError as error:
            if not str(error).startswith("NOGROUP"):
                raise
            run_script(client, "group", [stream], keys.GROUP)
            return []
        return list(reply[0][1]) if reply else []

    def _answer(self, entries: list[tuple[int, bytes, list[bytes]]], now_ms: int) -> bytes:
        import msgspec

        from sortgate.messages import parse_request, result_fields
        from sortgate.types import LabelScore, Prediction

        answers = []
        for number, entry, fields in entries:
            request = parse_request(entry.decode(), fields, self._queue)
            code, message = request.problem or (None, None)
            status: Any = "ok" if code is None else "rejected"
            prediction = None
            if code is None and request.deadline_ms is not None and request.deadline_ms < now_ms:
                status, code, message = "expired", "deadline", "the deadline passed"
            elif code is None:
                try:
                    label = self._label(request.text)
                    labels = () if label is None else (LabelScore(label, 1.0),)
                    prediction = Prediction(label, 1.0 if labels else 0.0, labels)
                except Exception as error:
                    status, code, message = "error", "component_failed", type(error).__name__
            origin = ("model", self.model, "fingerprint", self.fingerprint)
            result = result_fields(request, status, prediction, code, message, origin)
            answers.append((number, entry.decode(), request.dedupe_id, request.reply, status, result))
        return msgspec.msgpack.encode(answers)

"""A queue's consumer in a real event loop, whose batches are answered here instead of in a pool process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from kombu.asynchronous import Hub

from sortgate.messages import parse_request, result_fields
from sortgate.settings import Settings
from sortgate.worker.answer import pack_answers
from sortgate.worker.entries import Batch
from sortgate.worker.stream import QueueConsumer

Q = "q"


class Harness:
    """A consumer in an event loop, whose batches are answered at once or when told to."""

    def __init__(self, url: str, *, tick_s: float = 0.02, **settings: Any) -> None:
        options = {"redis_url": url, "socket_timeout_s": 1.0, "lease_s": 1.0, "sweep_s": 0.2, **settings}
        self.hub = Hub()
        self.answering = True
        self.pause_s = 0.0
        self.batches: list[Batch] = []
        self.consumer = QueueConsumer(Q, Settings(**options), 64, self.fill, pause_s=lambda: self.pause_s)
        self.consumer.attach(self.hub)
        self.hub.timer.call_repeatedly(tick_s, self.consumer.tick)

    def fill(self) -> None:
        while batch := self.consumer.hand.take(16):
            self.batches.append(batch)
            if self.answering:
                self.answer()

    def answer(self) -> None:
        """Commit an answer to every batch taken so far."""
        batches, self.batches = self.batches, []
        for batch in batches:
            answers = []
            for entry in batch.entries:
                request = parse_request(entry.entry, entry.fields, Q, 1000)
                fields = result_fields(request, "expired", code="deadline", message=f"{entry.failures} failures")
                answers.append((entry.stream, entry.entry, request.dedupe_id, request.reply, "expired", fields))
            self.consumer.commit(pack_answers(answers), batch.entries)

    def run(self, until: Callable[[], bool], timeout_s: float = 20.0) -> None:
        ends = time.monotonic() + timeout_s
        while not until():
            assert time.monotonic() < ends, "not in time"
            self.hub.run_once()

    def close(self) -> None:
        for link in self.consumer._links:
            link.close()  # or Redis would hand it the next test's texts
        self.hub.close()

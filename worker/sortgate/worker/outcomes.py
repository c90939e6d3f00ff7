"""What becomes of a queue's batches once a process had them: texts are counted, tried again or given up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from celery.utils.log import get_logger

from sortgate.messages import parse_request
from sortgate.plugins.events import BatchDone, TextFailed
from sortgate.settings import Settings
from sortgate.worker.answer import Answer, dead_answer, pack_answers
from sortgate.worker.entries import LOST, Batch, Care, Entry
from sortgate.worker.figures import BatchFigures, QueueFigures
from sortgate.worker.hand import Hand
from sortgate.worker.observing import WorkerObservers

logger = get_logger(__name__)


class Outcomes:
    """Takes note of what became of batches.

    Args:
        queue: its name.
        settings: bounds of dead letters and deliveries.
        hand: the entries read and not yet confirmed as answered.
        figures: to count in.
        commit: writes answers to entries.
        observers: plugins that are told what happens.

    Attributes:
        progress_at: monotonic seconds at which the queue last got on.
    """

    def __init__(
        self,
        queue: str,
        settings: Settings,
        hand: Hand,
        figures: QueueFigures,
        commit: Callable[[bytes, list[Entry]], None],
        observers: WorkerObservers | None = None,
    ) -> None:
        self._queue, self._settings = queue, settings
        self._hand, self._figures = hand, figures
        self._commit, self._observers = commit, observers
        self.got_on()

    def got_on(self) -> None:
        """Take note of progress."""
        self.progress_at = time.monotonic()

    def answered(self, texts: int, figures: BatchFigures) -> None:
        """Count a batch that a process has answered, and tell the observers of it."""
        self._figures.answered(texts, figures)
        if self._observers is not None:
            done = BatchDone(self._queue, texts, figures.tokens, figures.batch_s, figures.model_s)
            self._observers.tell("sortgate_batch_done", batch=done)
            self._tell_failed(figures.failed)

    def failed(self, batch: Batch, code: str, message: str, counted: str) -> None:
        """Take note that a process could not answer this batch: its texts are tried again in smaller batches.

        Args:
            code: what texts are answered with that are given up.
            message: likewise.
            counted: name of the figure that this counts in.
        """
        self.got_on()  # of a kind: after so many failures a text is given up and answered
        self._figures.counts[counted] += 1
        exhausted = self._hand.failed(batch)
        self._figures.counts["retried"] += len(batch.entries) - len(exhausted)
        if exhausted:
            self.bury(exhausted, code, message)

    def copies_died(self, batch: Batch, deadly: Mapping[int, str], deaths: int) -> None:
        """Take note that copies of a process died over a batch, and give up the texts of which they died, and how."""
        self.got_on()
        self._figures.counts["copies_died"] += deaths
        self._hand.be_careful(Care.TEXT_PATH)
        if deadly:
            how, count = ", ".join(sorted(set(deadly.values()))), len(batch.entries)
            logger.warning(
                "queue %s: %d of %d texts end the process that takes them: %s", self._queue, len(deadly), count, how
            )
            self.bury([batch.entries[position] for position in deadly], *LOST)

    def bury(self, entries: list[Entry], code: str, message: str) -> None:
        """Answer ``entries`` with ``dead``, which keeps a dead letter of each."""
        limit = self._settings.max_text_bytes
        answers: list[Answer] = [
            dead_answer(e.stream, e.entry, e.fields, self._queue, code, message, limit) for e in entries
        ]
        self._commit(pack_answers(answers), entries)
        if self._observers is not None:
            ids = [parse_request(e.entry, e.fields, self._queue).id for e in entries]
            self._tell_failed((ident, "dead", code, message) for ident in ids)

    def _tell_failed(self, failed: Iterable[tuple[str, str, str, str]]) -> None:
        if self._observers is not None:
            for each in failed:
                failure = TextFailed(self._queue, *each)
                self._observers.tell("sortgate_text_failed", failure=failure)

"""Answers on their way to Redis: kept, and sent again after a broken link, until Redis confirms them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sortgate import keys
from sortgate.settings import Settings
from sortgate.streams.scripts import script_sha
from sortgate.types import PRIORITIES
from sortgate.worker.entries import Entry
from sortgate.worker.figures import QueueFigures
from sortgate.worker.link import Link, raise_error

REPLY_TTL_MS = 3_600_000
DEAD_LIMIT = 100_000
DEAD_AGE_MS = 7 * 24 * 3_600_000

#: Told which entries are answered, and how many of them by this worker.
OnConfirmed = Callable[[list[Entry], int], None]


@dataclass(slots=True)
class _Commit:
    answers: bytes
    entries: list[Entry]
    added_at: float
    attempts: int = 0


class Commits:
    """One script call a batch. Sending one again is harmless: the script leaves alone what is acknowledged already.

    Args:
        queue: its name.
        settings: bounds of the streams, window of de-duplication.
        link: to Redis.
        figures: what the commits are counted in.
        on_confirmed: called for each commit, once.
    """

    def __init__(
        self, queue: str, settings: Settings, link: Link, figures: QueueFigures, on_confirmed: OnConfirmed
    ) -> None:
        self._link = link
        self._figures = figures
        self._on_confirmed = on_confirmed
        self._unconfirmed: dict[int, _Commit] = {}
        self._next = 0
        self._command: tuple[bytes | str | int, ...] = (
            "EVALSHA", script_sha("commit"), 7, *(keys.requests(queue, priority) for priority in PRIORITIES),
            keys.results(queue), keys.dead(queue), keys.seen(queue), keys.counters(queue), keys.GROUP,
            round(settings.dedupe_window_s * 1000), settings.dedupe_limit, settings.reply_limit, REPLY_TTL_MS,
            DEAD_LIMIT, DEAD_AGE_MS,
        )  # fmt: skip

    def add(self, answers: bytes, entries: list[Entry]) -> None:
        """Write the answers to ``entries``, at once or when the link is back.

        Args:
            answers: from :func:`sortgate.worker.answer.pack_answers`.
            entries: those that it answers.

        Raises:
            LinkLost: the link broke just now; the answers are kept.
        """
        number = self._next
        self._next += 1
        self._unconfirmed[number] = _Commit(answers, entries, time.monotonic())
        if self._link.connected:
            self._send(number)

    def resend(self) -> None:
        """Send again what was not confirmed before the link broke.

        Raises:
            LinkLost: it broke again.
        """
        for number in self._unconfirmed:
            self._send(number)

    def _send(self, number: int) -> None:
        commit = self._unconfirmed[number]
        commit.attempts += 1

        def on_reply(reply: Any) -> None:
            raise_error(reply)
            del self._unconfirmed[number]
            self._figures.committed(reply, time.monotonic() - commit.added_at, resent=commit.attempts > 1)
            self._on_confirmed(commit.entries, int(reply[0]))

        self._link.send(on_reply, *self._command, commit.answers)

"""Celery's consumer, which survives a broker that refuses and does not stay away from one that is back."""

from __future__ import annotations

import functools
import time
from typing import Any

from celery.worker import state
from celery.worker.consumer import Consumer as CeleryConsumer

#: Longest pause between two attempts, in seconds. Celery's own goes up to 30, and while it waits no stream is read.
MAX_PAUSE_S = 2.0
#: Pause after a broker that is there has refused a command: it would be refused again at once.
REFUSED_PAUSE_S = 1.0


class Consumer(CeleryConsumer):  # type: ignore[misc]  # Celery is untyped
    """Retries a broken broker link every two seconds at the latest.

    With ``broker_channel_error_retry`` it also comes here when the broker refuses a command, since it was made a
    replica, cannot write to its disk, or its rights were changed. Celery's default is to end the worker then.
    """

    def ensure_connected(self, conn: Any) -> Any:
        """Connect, and keep trying."""
        conn.ensure_connection = functools.partial(
            conn.ensure_connection, interval_start=0.5, interval_step=0.5, interval_max=MAX_PAUSE_S
        )
        return super().ensure_connected(conn)

    def on_connection_error_after_connected(self, exc: BaseException) -> None:
        """Let go of the connection; when it was refused rather than lost, wait a little."""
        super().on_connection_error_after_connected(exc)
        if isinstance(exc, self.connection_errors):
            return
        ends = time.monotonic() + REFUSED_PAUSE_S
        while time.monotonic() < ends:
            state.maybe_shutdown()
            time.sleep(0.1)

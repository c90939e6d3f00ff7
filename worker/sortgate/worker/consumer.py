"""Celery's consumer, which does not stay away from a broker that is back."""

from __future__ import annotations

import functools
from typing import Any

from celery.worker.consumer import Consumer as CeleryConsumer

#: Longest pause between two attempts, in seconds. Celery's own goes up to 30, and while it waits no stream is read.
MAX_PAUSE_S = 2.0


class Consumer(CeleryConsumer):  # type: ignore[misc]  # Celery is untyped
    """Retries a broken broker link every two seconds at the latest."""

    def ensure_connected(self, conn: Any) -> Any:
        """Connect, and keep trying."""
        conn.ensure_connection = functools.partial(
            conn.ensure_connection, interval_start=0.5, interval_step=0.5, interval_max=MAX_PAUSE_S
        )
        return super().ensure_connected(conn)

"""Results to collect: texts that were submitted and are answered."""

from __future__ import annotations

import time
from typing import Any

from sortgate import Client, keys
from sortgate.testing import FakeWorker


def answered(url: str, redis: Any, queue: str, count: int) -> list[str]:
    """Submit texts and wait for their results; returns the ids."""
    with Client(url, queue) as client, FakeWorker(url, queue, str.lower):
        ids = client.submit([f"w{i}" for i in range(count)])
        while redis.xlen(keys.results(queue)) < count:
            time.sleep(0.01)
    return ids

"""Scrapes a worker's metrics port and asks its probes."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

#: Sample name → labels, sorted by name and joined, → value.
Scrape = dict[str, dict[str, float]]


def free_port() -> int:
    """Return a port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def page(port: int, path: str, timeout: float = 10.0) -> tuple[int, str]:
    """Return status and body; 0 and the reason when nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


def probe(port: int, path: str) -> tuple[int, dict[str, Any]]:
    """Return status and JSON of ``/healthz`` or ``/readyz``."""
    status, body = page(port, path)
    return status, json.loads(body) if status else {"reason": body}


def scrape(port: int) -> Scrape:
    """Return every sample of ``/metrics``."""
    status, body = page(port, "/metrics")
    assert status == 200, body
    found: Scrape = {}
    for family in text_string_to_metric_families(body):
        for sample in family.samples:
            labels = ",".join(value for _, value in sorted(sample.labels.items()))
            found.setdefault(sample.name, {})[labels] = sample.value
    return found

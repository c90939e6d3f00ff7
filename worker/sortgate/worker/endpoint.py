"""The worker's HTTP port: ``/metrics`` for Prometheus, ``/healthz`` and ``/readyz`` for an orchestrator.

It runs in threads of the main process that only read what the event loop has told the monitor, so a scrape neither
waits for Redis nor makes the worker wait.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from threading import Thread
from typing import Any

from celery.utils.log import get_logger
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from sortgate.errors import ConfigurationError
from sortgate.settings import Settings
from sortgate.worker.exposition import create_registry
from sortgate.worker.report import Monitor, Verdict

logger = get_logger(__name__)

#: A peer that is silent for longer is given up, in seconds.
PEER_S = 5.0
_POLL_S = 0.2

#: Status, content type and body.
Page = tuple[HTTPStatus, str, bytes]


class _Handler(BaseHTTPRequestHandler):
    timeout = PEER_S

    def do_GET(self) -> None:
        """Answer one request; the connection ends with it (HTTP/1.0)."""
        page = self.server.pages.get(self.path.partition("?")[0])  # type: ignore[attr-defined]
        text = "text/plain; charset=utf-8"
        status, kind, body = page() if page else (HTTPStatus.NOT_FOUND, text, b"/metrics, /healthz, /readyz\n")
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815

    def version_string(self) -> str:
        """Name no versions."""
        return "sortgate"

    def log_message(self, *_: Any) -> None:
        """Probes come every few seconds: none of them is worth a line."""


class _Server(ThreadingMixIn, TCPServer):
    daemon_threads = True
    pages: dict[str, Callable[[], Page]]

    def handle_error(self, *_: Any) -> None:
        """Say nothing of a peer that went away."""
        error = sys.exception()
        if not isinstance(error, OSError):
            logger.error("the metrics port failed at a page: %r", error)


class Endpoint:
    """Opened before the pool is forked, so that a port in use ends the start; answers once :meth:`serve` is called.

    Args:
        host: address to listen on.
        port: port, 0 for any that is free.

    Attributes:
        port: the one that is open.

    Raises:
        ConfigurationError: the address cannot be listened on.
    """

    def __init__(self, host: str, port: int) -> None:
        try:
            listener = _listen(host, port)
        except OSError as error:
            raise ConfigurationError(
                f"metrics port {port} on {host} cannot be opened: {error.strerror or error}; choose another with "
                "--metrics-port or SORTGATE_METRICS_PORT (each worker of a machine needs its own), or 0 for none"
            ) from None
        self.port: int = listener.getsockname()[1]
        self._server = _Server(listener.getsockname()[:2], _Handler, bind_and_activate=False)
        self._server.socket.close()  # an unbound one of its own making
        self._server.socket = listener
        self._thread: Thread | None = None
        # A pool process that outlives a killed worker must not keep the port from its successor.
        os.register_at_fork(after_in_child=listener.close)

    @classmethod
    def from_settings(cls, settings: Settings) -> Endpoint | None:
        """Open the port that the settings name, if they do.

        Raises:
            ConfigurationError: it cannot be opened.
        """
        return cls(settings.metrics_host, settings.metrics_port) if settings.metrics_port else None

    def serve(self, monitor: Monitor) -> None:
        """Answer requests, in a thread, with what the monitor knows."""
        registry = create_registry(monitor)

        def metrics() -> Page:
            return HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(registry)

        self._server.pages = {
            "/metrics": metrics,
            "/healthz": lambda: _page(monitor.health()),
            "/readyz": lambda: _page(monitor.readiness()),
        }
        # Whatever these import is imported now: a module half imported by a thread would stay so in a forked child.
        for page in self._server.pages.values():
            page()
        self._thread = Thread(target=self._server.serve_forever, args=(_POLL_S,), name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer no more, and free the port."""
        if self._thread is not None:
            self._server.shutdown()
        self._server.server_close()


def _listen(host: str, port: int) -> socket.socket:
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # while old connections linger, too
        listener.bind(address)
        listener.listen(16)
    except OSError:
        listener.close()
        raise
    return listener


def _page(verdict: Verdict) -> Page:
    """Return the verdict as one line of JSON."""
    status = HTTPStatus.OK if verdict.well else HTTPStatus.SERVICE_UNAVAILABLE
    known = {"status": "ok" if verdict.well else "unavailable", "reason": verdict.reason, **verdict.figures}
    return status, "application/json", json.dumps(known).encode() + b"\n"

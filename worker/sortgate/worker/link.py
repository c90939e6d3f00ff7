"""One connection to Redis in the worker's event loop: commands leave at once, replies come to callbacks in order."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

import hiredis
import redis

from sortgate.errors import BrokerError
from sortgate.settings import Settings
from sortgate.streams.connection import connection_options

Reply = Any
OnReply = Callable[[Reply], None]


class LinkLost(Exception):  # noqa: N818 - an event, caught by the queue consumer, never shown as an error of its own
    """The connection broke, or Redis stayed silent for longer than allowed."""


class Link:
    """A pipelined, event-driven Redis connection (RESP2).

    redis-py connects (TLS, authentication, database); from then on this class reads the socket itself, since
    redis-py's own reader blocks until a reply is complete and the event loop must never wait for one.

    Args:
        settings: for the URL and the time-outs.
        name: client name shown by ``CLIENT LIST``.
    """

    def __init__(self, settings: Settings, name: str) -> None:
        self._settings = settings
        self._name = name
        self._connection: redis.Connection | None = None
        self._reader = hiredis.Reader()
        self._waiting: deque[OnReply] = deque()
        self._deadline = 0.0

    @property
    def connected(self) -> bool:
        """Whether commands can be sent."""
        return self._connection is not None

    def fileno(self) -> int:
        """File descriptor for the event loop."""
        return int(self._socket.fileno())

    @property
    def _socket(self) -> Any:
        if self._connection is None:
            raise LinkLost("not connected")
        return self._connection._sock

    def connect(self) -> None:
        """Connect and authenticate.

        Raises:
            BrokerError: Redis is absent, refuses, or does not answer in time.
        """
        timeout = self._settings.socket_timeout_s
        options = connection_options(self._settings)
        pool = redis.ConnectionPool.from_url(self._settings.redis_url, **options, client_name=self._name)
        connection: redis.Connection = pool.connection_class(**pool.connection_kwargs)
        try:
            connection.connect()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
        except (redis.RedisError, OSError) as error:
            raise BrokerError(f"Redis does not answer: {error}") from None
        self._connection = connection
        self._socket.settimeout(timeout)
        self._reader = hiredis.Reader()
        self._waiting.clear()

    def send(self, on_reply: OnReply, *command: bytes | str | int, patience_s: float = 0.0) -> None:
        """Send a command; ``on_reply`` gets its reply, or the error reply as an exception object.

        Args:
            patience_s: seconds that the command itself may block, on top of the socket time-out.

        Raises:
            LinkLost: the connection is gone.
        """
        try:
            self._socket.sendall(
                hiredis.pack_command(command)  # type: ignore[arg-type]  # its stub names no union
            )
        except OSError as error:
            raise LinkLost(str(error)) from None
        deadline = time.monotonic() + self._settings.socket_timeout_s + patience_s
        self._deadline = deadline if not self._waiting else max(self._deadline, deadline)
        self._waiting.append(on_reply)

    def receive(self) -> None:
        """Read what has arrived and hand complete replies to their callbacks.

        Raises:
            LinkLost: the connection is gone.
        """
        try:
            self._feed(self._socket.recv(262_144))
            pending = getattr(self._socket, "pending", None)
            while pending is not None and pending():  # TLS may hold decrypted bytes that no poll reports
                self._feed(self._socket.recv(262_144))
        except (OSError, hiredis.ProtocolError) as error:
            raise LinkLost(str(error)) from None
        while self._connection is not None:
            reply = self._reader.gets()
            if reply is False:
                return
            self._waiting.popleft()(reply)

    def _feed(self, data: bytes) -> None:
        if not data:
            raise LinkLost("closed by Redis")
        # Time-outs are for silence: a large reply on a slow network may take its time.
        self._deadline = max(self._deadline, time.monotonic() + self._settings.socket_timeout_s)
        self._reader.feed(data)

    def call(self, *command: bytes | str | int) -> Reply:
        """Send a command and wait for its reply; replies owed before it go to their callbacks first.

        Raises:
            LinkLost: the connection is gone, or the reply did not come in time.
            BrokerError: Redis answered with an error.
        """
        box: list[Reply] = []
        self.send(box.append, *command)
        while not box:
            self.receive()  # raises when nothing comes for the socket's time-out
            if self._connection is None:
                raise LinkLost("closed while a reply was owed")
        if isinstance(box[0], hiredis.ReplyError):
            raise BrokerError(str(box[0]))
        return box[0]

    @property
    def owes(self) -> int:
        """Number of replies that have not come yet."""
        return len(self._waiting)

    def check(self) -> None:
        """Raise :class:`LinkLost` when a reply is overdue (a silent peer sends no reset)."""
        if self._waiting and time.monotonic() > self._deadline:
            raise LinkLost("Redis has been silent for too long")

    def close(self) -> None:
        """Close the connection; replies still owed never come."""
        connection, self._connection = self._connection, None
        self._waiting.clear()
        if connection is not None:
            connection.disconnect()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped

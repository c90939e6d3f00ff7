"""One connection to Redis in the worker's event loop: commands leave at once, replies come to callbacks in order."""

from __future__ import annotations

import os
import select
import ssl
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import hiredis
import redis

from sortgate.errors import BrokerError
from sortgate.settings import Settings
from sortgate.streams.connection import connection_options
from sortgate.streams.redirect import Route, point

Reply = Any
OnReply = Callable[[Reply], None]
Command = tuple[bytes | str | int, ...]

_CHUNK_BYTES = 262_144
#: Most plain bytes of one TLS record (RFC 8446, 5.1).
_RECORD_BYTES = 16_384
#: A TLS socket that cannot go on raises its own exceptions; the kernel's has the one of a plain socket.
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class LinkLost(Exception):  # noqa: N818 - an event, caught by the queue consumer, never shown as an error of its own
    """The connection broke, or Redis stayed silent for longer than allowed."""


class Link:
    """A pipelined, event-driven Redis connection (RESP2) that never makes the event loop wait.

    redis-py connects (TLS, authentication, database); from then on this class reads and writes the socket itself:
    redis-py's own reader blocks until a reply is complete, and so would a TLS socket until a record is. What the
    kernel does not take of a command, since Redis is slow or silent, is written when it does.

    Args:
        settings: for the URL and the time-outs.
        name: client name shown by ``CLIENT LIST``.
        on_lost: told when the link breaks while the event loop reads or writes it.
        route: where to connect.
    """

    def __init__(
        self, settings: Settings, name: str, on_lost: Callable[[LinkLost], None], route: Route | None = None
    ) -> None:
        self._settings = settings
        self._name = name
        self._on_lost = on_lost
        self._hub: Any = None
        self._connection: redis.Connection | None = None
        self._route = Route() if route is None else route
        self._reader = hiredis.Reader()
        #: for each reply owed, its callback and the seconds that its command may block on top of the time-out
        self._owed: deque[tuple[OnReply, float]] = deque()
        self._unsent = bytearray()
        #: A second descriptor of the socket while there is something unsent: the poller takes each one only once.
        self._writer: int | None = None
        self._progress_at = 0.0

    @property
    def connected(self) -> bool:
        """Whether commands can be sent."""
        return self._connection is not None

    @property
    def owes(self) -> int:
        """Number of replies that have not come yet."""
        return len(self._owed)

    @property
    def unsent_bytes(self) -> int:
        """Bytes of commands that the kernel has not taken yet."""
        return len(self._unsent)

    @property
    def _socket(self) -> Any:
        if self._connection is None:
            raise LinkLost("not connected")
        return self._connection._sock

    def connect(self) -> None:
        """Connect and authenticate; this alone may block, for at most the socket's time-outs.

        Raises:
            BrokerError: Redis is absent, refuses, or does not answer in time.
        """
        options = connection_options(self._settings)
        pool = redis.ConnectionPool.from_url(self._settings.redis_url, **options, client_name=self._name)
        point(pool.connection_kwargs, self._route.node)
        connection: redis.Connection = pool.connection_class(**pool.connection_kwargs)
        try:
            connection.connect()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
        except (redis.RedisError, OSError) as error:
            raise BrokerError(f"Redis does not answer: {error}") from None
        self._connection = connection
        self._socket.setblocking(False)
        self._reader = hiredis.Reader()
        self._progress_at = time.monotonic()
        self._register()

    # -- event loop -------------------------------------------------------------------------------------------------

    def attach(self, hub: Any) -> None:
        """Be read and written by this event loop, now if connected and after every :meth:`connect`."""
        self._hub = hub
        if self.connected:
            self._register()

    def detach(self) -> None:
        """Leave the event loop; :meth:`call` still works."""
        if self._hub is not None and self.connected:
            self._hub.remove(self._socket.fileno())
        self._close_writer()
        self._hub = None

    def _register(self) -> None:
        if self._hub is not None:
            self._hub.add_reader(self._socket.fileno(), self._on_readable)
            self._want_to_write()

    def _on_readable(self) -> None:
        try:
            self.receive()
        except LinkLost as error:
            self._on_lost(error)

    def _on_writable(self) -> None:
        try:
            self._flush()
        except LinkLost as error:
            self._on_lost(error)

    def _want_to_write(self) -> None:
        if self._unsent and self._writer is None and self._hub is not None:
            self._writer = os.dup(self._socket.fileno())
            self._hub.add_writer(self._writer, self._on_writable)

    def _close_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            if self._hub is not None:
                self._hub.remove(writer)
            os.close(writer)

    # -- commands ---------------------------------------------------------------------------------------------------

    def send(self, on_reply: OnReply, *command: bytes | str | int, patience_s: float = 0.0) -> None:
        """Send a command; ``on_reply`` gets its reply, or the error reply as an exception object.

        Args:
            patience_s: seconds that the command itself may block, on top of the socket time-out.

        Raises:
            LinkLost: the connection is gone.
        """
        self.send_all([(on_reply, command)], patience_s=patience_s)

    def send_all(self, commands: Sequence[tuple[OnReply, Command]], patience_s: float = 0.0) -> None:
        """Send commands in one go, which wakes Redis once; their replies come as those of :meth:`send`.

        Raises:
            LinkLost: the connection is gone.
        """
        if self._connection is None:
            raise LinkLost("not connected")
        if not self._owed:
            self._progress_at = time.monotonic()
        self._owed.extend((on_reply, patience_s) for on_reply, _ in commands)
        packed = b"".join(hiredis.pack_command(command) for _, command in commands)  # type: ignore[arg-type]  # its stub names no union
        if self._unsent:
            self._unsent += packed
            return
        sent = self._write(packed)
        if sent < len(packed):
            self._unsent += memoryview(packed)[sent:]
            self._want_to_write()

    def later(self, seconds: float, callback: Callable[[], None]) -> Any:
        """Have the event loop call ``callback``, which may send; returns what can be cancelled, None without a loop."""

        def call() -> None:
            try:
                callback()
            except LinkLost as error:
                self._on_lost(error)

        return None if self._hub is None else self._hub.call_later(seconds, call)

    def _write(self, data: bytes | bytearray) -> int:
        """Return how many bytes the kernel has taken."""
        if not isinstance(self._socket, ssl.SSLSocket):
            return self._write_part(data)
        sent = 0
        # TLS takes a part whole or not at all: in parts of a record, what moves is seen to move
        with memoryview(data) as parts:
            while sent < len(data) and (more := self._write_part(parts[sent : sent + _RECORD_BYTES])):
                sent += more
        return sent

    def _write_part(self, data: bytes | bytearray | memoryview) -> int:
        try:
            return int(self._socket.send(data))
        except _NOT_NOW:
            return 0
        except OSError as error:
            raise LinkLost(str(error)) from None

    def _flush(self) -> None:
        """Write what the kernel takes now of what is unsent."""
        if self._unsent and (sent := self._write(self._unsent)):
            del self._unsent[:sent]
            self._progress_at = time.monotonic()
        if not self._unsent:
            self._close_writer()

    def receive(self) -> None:
        """Read what has arrived and hand complete replies to their callbacks.

        Raises:
            LinkLost: the connection is gone.
        """
        # Whatever TLS has decrypted is read too: no poll would report it. A plain socket is asked once.
        while self._read() and isinstance(self._socket, ssl.SSLSocket):
            pass
        while self._connection is not None:
            try:
                reply = self._reader.gets()
            except hiredis.ProtocolError as error:
                raise LinkLost(f"that is no Redis: {error}") from None
            if reply is False:
                return
            if not self._owed:
                raise LinkLost("Redis sent a reply that nobody asked for")
            self._owed.popleft()[0](reply)

    def _read(self) -> bool:
        try:
            data = self._socket.recv(_CHUNK_BYTES)
        except _NOT_NOW:
            return False
        except OSError as error:
            raise LinkLost(str(error)) from None
        if not data:
            raise LinkLost("closed by Redis")
        # Time-outs are for silence: a large reply on a slow network may take its time.
        self._progress_at = time.monotonic()
        self._reader.feed(data)
        return True

    def call(self, *command: bytes | str | int, until: float) -> Reply:
        """Send a command and wait for its reply; replies owed before it go to their callbacks first.

        Args:
            until: time (monotonic) at which the wait ends, however many bytes still move.

        Raises:
            LinkLost: the connection is gone, or Redis was silent for the socket's time-out, or the time is up.
            BrokerError: Redis answered with an error.
        """
        box: list[Reply] = []
        self.send(box.append, *command)
        while not box:
            poller = select.poll()
            poller.register(self._socket, select.POLLIN | (select.POLLOUT if self._unsent else 0))
            ends = min(until, self._overdue_at())
            if not poller.poll(max(0.0, ends - time.monotonic()) * 1000.0) and time.monotonic() >= ends:
                raise LinkLost("Redis is silent or too slow")
            self._flush()
            self.receive()
            if self._connection is None:
                raise LinkLost("closed while a reply was owed")
        if isinstance(box[0], hiredis.ReplyError):
            raise BrokerError(str(box[0]))
        return box[0]

    def _overdue_at(self) -> float:
        """Return when the silence is too long: further commands do not extend it, bytes that move do."""
        return self._progress_at + self._settings.socket_timeout_s + self._owed[0][1]

    def check(self) -> None:
        """Raise :class:`LinkLost` when a reply is overdue (a silent peer sends no reset).

        First what has arrived is read: timers come before that in the event loop, which may itself have been away.
        """
        if self._owed and time.monotonic() >= self._overdue_at():
            self.receive()
            if self._owed and time.monotonic() >= self._overdue_at():
                raise LinkLost("Redis has been silent for too long")

    def close(self) -> None:
        """Close the connection; replies still owed never come."""
        hub = self._hub
        self.detach()
        self._hub = hub  # for the next connection
        connection, self._connection = self._connection, None
        self._owed.clear()
        self._unsent.clear()
        if connection is not None:
            connection.disconnect()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped


def raise_error(reply: Reply) -> None:
    """A callback for commands whose reply does not matter unless it is an error, which ends the link.

    Raises:
        LinkLost: Redis answered with an error: what the link stands on (a script, a right, memory) is gone.
    """
    if isinstance(reply, hiredis.ReplyError):
        raise LinkLost(str(reply))

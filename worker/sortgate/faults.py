r"""A TCP proxy between a client and Redis that does what networks do: for tests of what your service makes of it.

::

    with ChaosProxy(6379) as proxy, Client(proxy.url, queue="tickets") as client:
        proxy.down.held = True  # Redis falls silent, its connections stay open
        proxy.reset()  # every connection breaks off
        proxy.down.trigger = Trigger(b"*2\r\n:")  # the next reply that begins like this never arrives

``up`` is the way towards Redis, ``down`` the one towards its client; each has its own :class:`Direction`, which may be
changed at any time. The sources need the standard library alone.
"""

from __future__ import annotations

import contextlib
import random
import select
import socket
import ssl
import struct
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self

_CHUNK_BYTES = 65_536
_IDLE_S = 0.05
_HELD_S = 0.002


@dataclass
class Trigger:
    """Something that happens once, at an exact byte of what one connection carries.

    Attributes:
        marker: bytes that are waited for; they may arrive in pieces.
        offset: bytes that still pass, counted from the start of the marker.
        action: ``cut`` resets every connection at that byte, ``hold`` lets nothing more pass that way.
        fired: whether it has happened.
    """

    marker: bytes
    offset: int = 0
    action: Literal["cut", "hold"] = "cut"
    fired: bool = field(default=False, init=False)


@dataclass
class Direction:
    """What happens to the bytes of one direction.

    Attributes:
        held: nothing passes; connections stay open, as with a silent peer.
        delay_s: seconds that each piece is under way; pieces do not wait for each other.
        jitter_s: up to so many seconds more, drawn at random; the order of the bytes is kept.
        slice_bytes: most bytes of one packet; 0 for no bound.
        rate: bytes a second; 0 for no bound.
        cut_after: bytes that still pass before every connection is reset; None for no cut.
        trigger: what happens at a byte of a certain command or reply; None for nothing, and again once it has fired.
        passed: bytes that have passed.
    """

    held: bool = False
    delay_s: float = 0.0
    jitter_s: float = 0.0
    slice_bytes: int = 0
    rate: int = 0
    cut_after: int | None = None
    trigger: Trigger | None = None
    passed: int = field(default=0, init=False)


class ChaosProxy:
    """Forwards connections to a port to Redis, until told to do worse.

    Args:
        port: of Redis.
        tls: context with which clients are served; None for plain TCP.
        host: of Redis.
        seed: of the jitter.
    """

    def __init__(self, port: int, tls: ssl.SSLContext | None = None, *, host: str = "127.0.0.1", seed: int = 0) -> None:
        self._target = (host, port)
        self._tls = tls
        self._chance = random.Random(seed)  # noqa: S311 - delays, no secrets
        self.up, self.down = Direction(), Direction()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._closed = False
        threading.Thread(target=self._accept, name="chaos-accept", daemon=True).start()

    @property
    def url(self) -> str:
        """URL for a client."""
        return f"{'rediss' if self._tls else 'redis'}://127.0.0.1:{self.port}/0"

    def reset(self) -> None:
        """Reset every connection there is; new ones are served."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for side in pair:
                with contextlib.suppress(OSError):
                    side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    side.shutdown(socket.SHUT_RDWR)
                side.close()

    def inject(self, data: bytes) -> None:
        """Send every client bytes that Redis did not send."""
        for client, _ in self._pairs:
            with contextlib.suppress(OSError):
                client.sendall(data)

    def close(self) -> None:
        """Stop; nothing is served any more."""
        self._closed = True
        self._listener.shutdown(socket.SHUT_RDWR)  # ends a wait in accept(), which close() alone does not
        self._listener.close()
        self.reset()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target)
                for side in (client, server):
                    side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError:  # one of both is gone already
                client.close()
                continue
            if self._tls is None:
                self._pairs.append((client, server))
                threading.Thread(target=self._pump, args=(client, server, self.up), daemon=True).start()
                threading.Thread(target=self._pump, args=(server, client, self.down), daemon=True).start()
                continue
            # TLS ends in a hop of its own, so that what is held, sliced and cut are bytes of records.
            inner, outer = socket.socketpair()
            self._pairs += [(client, inner), (outer, server)]
            threading.Thread(target=self._pump, args=(client, inner, self.up), daemon=True).start()
            threading.Thread(target=self._pump, args=(inner, client, self.down), daemon=True).start()
            threading.Thread(target=self._terminate, args=(self._tls, outer, server), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, way: Direction) -> None:
        flight: deque[tuple[float, bytes]] = deque()  # when each piece arrives, and the piece
        watch = _Watch(way)
        cut = ended = False
        with contextlib.suppress(OSError, ValueError):
            while not cut and not (ended and not flight):
                if way.held:
                    time.sleep(_HELD_S)
                    continue
                wait = min(_IDLE_S, max(0.0, flight[0][0] - time.monotonic())) if flight else _IDLE_S
                if not ended and select.select([source], [], [], wait)[0] and not way.held:
                    data = source.recv(_piece(way))
                    ended = not data
                    if data:
                        flight.append((self._arrival(way, flight), data))
                elif ended:
                    time.sleep(wait)
                # it may have come to be held while this thread waited for the data
                if not flight or way.held or time.monotonic() < flight[0][0]:
                    continue
                arrival, data = flight.popleft()
                count, action = watch.look(data)
                if action == "hold":
                    way.held = True
                    flight.appendleft((arrival, data[count:]))
                target.sendall(data[:count])
                way.passed += count
                cut = action == "cut"
                if way.rate:
                    time.sleep(count / way.rate)
        if cut:
            watch.done()
            self.reset()
            return
        for side in (source, target):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)

    def _arrival(self, way: Direction, flight: deque[tuple[float, bytes]]) -> float:
        at = time.monotonic() + way.delay_s + (self._chance.uniform(0.0, way.jitter_s) if way.jitter_s else 0.0)
        return max(at, flight[-1][0]) if flight else at

    def _terminate(self, tls: ssl.SSLContext, outer: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), tls.wrap_socket(outer, server_side=True) as secure:
            while True:
                ready = [secure] if secure.pending() else select.select([secure, server], [], [], 1.0)[0]
                if server in ready:
                    if not (data := server.recv(65_536)):
                        break
                    secure.setblocking(True)
                    secure.sendall(data)
                if secure in ready:
                    secure.setblocking(False)
                    with contextlib.suppress(ssl.SSLWantReadError):
                        if not (data := secure.recv(65_536)):
                            break
                        server.sendall(data)
        server.close()


def _piece(way: Direction) -> int:
    """Return how many bytes to take at a time; before a cut no more than still pass, so that the rest is unread."""
    size = min(way.slice_bytes or _CHUNK_BYTES, max(1, way.rate // 50) if way.rate else _CHUNK_BYTES)
    return size if way.cut_after is None else max(1, min(size, way.cut_after))


class _Watch:
    """Looks for the point at which one connection's bytes stop passing."""

    def __init__(self, way: Direction) -> None:
        self._way = way
        self._trigger: Trigger | None = None
        self._left = 0
        self._before = b""

    def look(self, data: bytes) -> tuple[int, Literal["cut", "hold"] | None]:
        """Return how many bytes of ``data`` pass, and what happens then."""
        way = self._way
        if (left := way.cut_after) is not None:
            way.cut_after = max(0, left - len(data)) or None
            return min(left, len(data)), "cut" if way.cut_after is None else None
        if self._trigger is None and (trigger := way.trigger) is not None:
            found = (self._before + data).find(trigger.marker)
            if found >= 0:
                way.trigger, self._trigger = None, trigger
                self._left = max(0, found - len(self._before) + trigger.offset)
                self._before = b""
            else:
                self._before = (self._before + data)[-(len(trigger.marker) - 1) :] if len(trigger.marker) > 1 else b""
        if (trigger := self._trigger) is None:
            return len(data), None
        if self._left > len(data):
            self._left -= len(data)
            return len(data), None
        if trigger.action == "hold":
            self.done()
        return self._left, trigger.action

    def done(self) -> None:
        """Take note that it has happened."""
        if self._trigger is not None:
            self._trigger.fired = True
            self._trigger = None

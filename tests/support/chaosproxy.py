"""A TCP proxy between a client and Redis that holds, slices, throttles and cuts what passes, and may speak TLS."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import threading
import time
from dataclasses import dataclass, field


@dataclass
class Direction:
    """What happens to the bytes of one direction.

    Attributes:
        held: nothing passes; connections stay open, as with a silent peer.
        slice_bytes: most bytes of one packet; 0 for no bound.
        rate: bytes a second; 0 for no bound.
        cut_after: bytes that still pass before both sides are reset; None for no cut.
        passed: bytes that have passed.
    """

    held: bool = False
    slice_bytes: int = 0
    rate: int = 0
    cut_after: int | None = None
    passed: int = field(default=0)


class ChaosProxy:
    """Forwards to ``port`` on this machine; ``up`` is towards Redis, ``down`` towards its client.

    Args:
        port: of Redis.
        tls: context with which clients are served; None for plain TCP.
    """

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self._target = port
        self._tls = tls
        self.up, self.down = Direction(), Direction()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

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

    def __enter__(self) -> ChaosProxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
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
            threading.Thread(target=self._terminate, args=(outer, server), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, way: Direction) -> None:
        cut = False
        with contextlib.suppress(OSError, ValueError):
            while not cut:
                if way.held or not select.select([source], [], [], 0.05)[0]:
                    time.sleep(0.002 if way.held else 0.0)
                    continue
                left = way.cut_after
                size = min(way.slice_bytes or 65_536, max(1, way.rate // 50) if way.rate else 65_536)
                data = source.recv(size if left is None else max(1, min(size, left)))
                if not data:
                    break
                if left is not None:
                    way.cut_after = max(0, left - len(data)) or None
                    cut = way.cut_after is None
                    data = data[:left]
                while way.held:  # it may have come to hold while this thread waited for the data
                    time.sleep(0.002)
                target.sendall(data)
                way.passed += len(data)
                if way.rate:
                    time.sleep(len(data) / way.rate)
        if cut:
            self.reset()
            return
        for side in (source, target):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)

    def _terminate(self, outer: socket.socket, server: socket.socket) -> None:
        assert self._tls is not None
        with contextlib.suppress(OSError, ValueError), self._tls.wrap_socket(outer, server_side=True) as secure:
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

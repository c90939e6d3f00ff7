"""The chaos proxy does to bytes exactly what it is told."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from sortgate.faults import ChaosProxy, Trigger


class Echo:
    """A server that sends back what it gets."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            try:
                link, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=(link,), daemon=True).start()

    @staticmethod
    def answer(link: socket.socket) -> None:
        with link:
            try:
                while data := link.recv(65_536):
                    link.sendall(data)
            except OSError:
                return


@pytest.fixture
def proxy() -> Iterator[ChaosProxy]:
    echo = Echo()
    with ChaosProxy(echo.listener.getsockname()[1]) as proxy:
        yield proxy
    echo.listener.shutdown(socket.SHUT_RDWR)
    echo.listener.close()


def connect(proxy: ChaosProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=5.0)


def until_end(link: socket.socket) -> bytes:
    """Read until the connection ends, however it does."""
    found = b""
    try:
        while data := link.recv(65_536):
            found += data
    except ConnectionError:
        pass
    return found


@pytest.mark.parametrize("offset", [0, 1, 4, 9])
@pytest.mark.parametrize("slice_bytes", [0, 1, 3])
def test_a_trigger_cuts_at_exactly_that_byte(proxy: ChaosProxy, offset: int, slice_bytes: int) -> None:
    sent = b"some bytes and MARK, then more, then more again"
    proxy.down.slice_bytes = slice_bytes
    trigger = proxy.down.trigger = Trigger(b"MARK", offset)
    with connect(proxy) as link:
        link.sendall(sent)
        found = until_end(link)
    # a marker in pieces is only known when its last byte is there: what comes before has passed by then
    least = sent.index(b"MARK") + offset
    assert sent.startswith(found)
    assert len(found) == (least if not slice_bytes else max(least, len(found)))
    assert len(found) <= max(least, sent.index(b"MARK") + 3)
    assert trigger.fired
    assert proxy.down.trigger is None
    with connect(proxy) as link:
        link.sendall(b"MARK")
        assert link.recv(10)[:1] == b"M", "once only"


def test_a_trigger_holds_and_lets_go_without_losing_a_byte(proxy: ChaosProxy) -> None:
    trigger = proxy.up.trigger = Trigger(b"MARK", 2, "hold")
    with connect(proxy) as link:
        link.sendall(b"before MARK after")
        assert link.recv(100) == b"before MA"
        assert trigger.fired
        assert proxy.up.held
        proxy.up.held = False
        link.settimeout(2.0)
        rest = b""
        while len(rest) < 8:
            rest += link.recv(100)
        assert rest == b"RK after"


def test_cut_after_counts_bytes(proxy: ChaosProxy) -> None:
    proxy.up.cut_after = 5
    with connect(proxy) as link:
        link.sendall(b"0123456789")
        assert b"01234".startswith(until_end(link))
    assert proxy.up.passed == 5


def test_a_delay_is_no_queue(proxy: ChaosProxy) -> None:
    proxy.up.delay_s, proxy.up.jitter_s = 0.2, 0.1
    with connect(proxy) as link:
        started = time.monotonic()
        for number in range(10):
            link.sendall(b"%d" % number)
            time.sleep(0.01)
        found = b""
        while len(found) < 10:
            found += link.recv(100)
        took = time.monotonic() - started
    assert found == b"0123456789"
    assert 0.2 <= took < 1.5, "each piece waits by itself"


def test_reset_ends_connections_and_serves_new_ones(proxy: ChaosProxy) -> None:
    with connect(proxy) as link:
        link.sendall(b"x")
        assert link.recv(1) == b"x"
        proxy.reset()
        assert until_end(link) == b""
    with connect(proxy) as link:
        link.sendall(b"y")
        assert link.recv(1) == b"y"

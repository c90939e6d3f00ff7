"""The worker's connection to Redis on a slow, silent, cut or encrypted network: it never blocks the event loop."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kombu.asynchronous import Hub

from sortgate.embedded import EmbeddedRedis
from sortgate.errors import BrokerError
from sortgate.faults import ChaosProxy
from sortgate.settings import Settings
from sortgate.worker.link import Link, LinkLost, raise_error
from tls import server_context

LARGE = b"x" * 12_000_000  # more than a socket's buffers hold


def soon() -> float:
    return time.monotonic() + 20.0


@pytest.fixture
def tls_proxy(redis_server: EmbeddedRedis, tmp_path: Path) -> Iterator[tuple[ChaosProxy, str]]:
    """A proxy that speaks TLS, and the URL with its certificate's authority."""
    context, query = server_context(tmp_path)
    with ChaosProxy(redis_server.port, context) as proxy:
        yield proxy, f"{proxy.url}?{query}"


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub()
    yield hub
    hub.close()


@pytest.fixture
def connect() -> Iterator[Callable[..., Link]]:
    links: list[Link] = []

    def make(url: str, timeout_s: float = 5.0, on_lost: Callable[[LinkLost], None] | None = None) -> Link:
        lost: list[LinkLost] = []
        link = Link(Settings(redis_url=url, socket_timeout_s=timeout_s), "test", on_lost or lost.append)
        links.append(link)
        link.connect()
        return link

    yield make
    for link in links:
        link.close()


def run(hub: Hub, until: Callable[[], bool], timeout_s: float = 30.0) -> None:
    """Turn the event loop until a condition holds."""
    ends = time.monotonic() + timeout_s
    hub.timer.call_repeatedly(0.02, lambda: None)  # as Celery's loop has timers that end a poll
    while not until():
        assert time.monotonic() < ends, "not in time"
        hub.run_once()


def test_replies_come_in_order_also_one_byte_at_a_time(proxy: ChaosProxy, hub: Hub, connect: Any) -> None:
    link = connect(proxy.url)
    link.attach(hub)
    proxy.down.slice_bytes = proxy.up.slice_bytes = 1
    replies: list[Any] = []
    for number in range(20):
        link.send(replies.append, "ECHO", f"{number}")
    assert link.owes == 20
    run(hub, lambda: len(replies) == 20)
    assert replies == [str(number).encode() for number in range(20)]
    assert link.owes == 0


def test_a_command_larger_than_the_sockets_buffers_does_not_block(proxy: ChaosProxy, hub: Hub, connect: Any) -> None:
    link = connect(proxy.url)
    link.attach(hub)
    proxy.up.held = True
    replies: list[Any] = []
    link.send(replies.append, "SET", "large", LARGE)  # would never return on a blocking socket
    assert link.unsent_bytes > 0
    link.send(replies.append, "STRLEN", "large")
    for _ in range(5):
        hub.run_once()
    proxy.up.held = False
    run(hub, lambda: len(replies) == 2)
    assert replies == [b"OK", len(LARGE)]
    assert link.unsent_bytes == 0
    assert not hub.writers, "an idle link asks for no write events"


def test_a_link_that_leaves_the_loop_with_unsent_bytes_can_come_back(proxy: ChaosProxy, connect: Any) -> None:
    link = connect(proxy.url)
    first, second = Hub(), Hub()
    link.attach(first)
    proxy.up.held = True
    replies: list[Any] = []
    link.send(replies.append, "SET", "large", LARGE)
    link.detach()
    assert not first.readers
    assert not first.writers
    proxy.up.held = False
    link.attach(second)
    run(second, lambda: bool(replies))
    assert link.call("STRLEN", "large", until=soon()) == len(LARGE), "and it can be used without a loop"
    link.close()
    first.close()
    second.close()


def test_call_writes_what_is_unsent_and_serves_earlier_replies_first(proxy: ChaosProxy, connect: Any) -> None:
    link = connect(proxy.url)
    order: list[Any] = []
    link.send(order.append, "SET", "large", LARGE)
    order.append(link.call("PING", until=soon()))
    assert order == [b"OK", b"PONG"]
    with pytest.raises(BrokerError, match="unknown command"):
        link.call("NOSUCH", until=soon())
    assert link.call("PING", until=soon()) == b"PONG", "an error reply does not end the link"


def test_commands_sent_meanwhile_do_not_extend_the_patience_with_a_silent_peer(proxy: ChaosProxy, connect: Any) -> None:
    link = connect(proxy.url, timeout_s=0.4)
    proxy.down.held = True
    link.send(raise_error, "PING")
    started = time.monotonic()

    def keep_sending() -> None:
        while time.monotonic() - started < 10.0:
            link.send(raise_error, "PING")
            link.check()
            time.sleep(0.05)

    with pytest.raises(LinkLost, match="silent"):
        keep_sending()
    assert time.monotonic() - started < 2.0
    with pytest.raises(LinkLost, match="silent"):
        link.call("PING", until=soon())


def test_a_command_that_blocks_in_redis_is_given_its_time(proxy: ChaosProxy, hub: Hub, connect: Any) -> None:
    link = connect(proxy.url, timeout_s=0.2)
    link.attach(hub)
    replies: list[Any] = []
    link.send(replies.append, "BLPOP", "nothing", "1", patience_s=1.0)
    ends = time.monotonic() + 5.0
    while not replies and time.monotonic() < ends:
        link.check()
        hub.run_once()
    assert replies == [None]


def test_a_large_reply_on_a_slow_network_is_no_silence(proxy: ChaosProxy, hub: Hub, connect: Any) -> None:
    link = connect(proxy.url, timeout_s=0.4)
    link.call("SET", "value", b"y" * 200_000, until=soon())
    link.attach(hub)
    proxy.down.rate = 200_000
    replies: list[Any] = []
    link.send(replies.append, "GET", "value")
    while not replies:
        link.check()
        hub.run_once()
    assert replies == [b"y" * 200_000]


@pytest.mark.parametrize("after", [0, 1, 3, 6])
def test_a_cut_ends_the_link_and_tells_its_owner(proxy: ChaosProxy, hub: Hub, connect: Any, after: int) -> None:
    lost: list[LinkLost] = []
    link = connect(proxy.url, on_lost=lost.append)
    link.attach(hub)
    replies: list[Any] = []
    proxy.down.cut_after = after
    link.send(replies.append, "PING")
    run(hub, lambda: bool(lost))
    assert not replies
    link.close()
    link.connect()
    link.send(replies.append, "PING")
    run(hub, lambda: bool(replies))
    assert replies == [b"PONG"], "half of an old reply is not taken for a part of a new one"


def test_a_reply_that_nobody_asked_for_ends_the_link(redis_server: EmbeddedRedis, connect: Any) -> None:
    link = connect(redis_server.url)
    link._reader.feed(b"+SURPRISE\r\n")
    with pytest.raises(LinkLost, match="nobody asked"):
        link.receive()


def test_half_a_tls_record_does_not_block(tls_proxy: tuple[ChaosProxy, str], hub: Hub, connect: Any) -> None:
    proxy, url = tls_proxy
    link = connect(url)
    link.call("SET", "value", b"z" * 10_000, until=soon())
    link.attach(hub)
    replies: list[Any] = []
    proxy.down.passed = 0
    proxy.down.slice_bytes = 1_000
    proxy.down.rate = 100_000
    done = threading.Event()

    def stop_in_the_middle_of_a_record() -> None:
        while proxy.down.passed < 3_000:
            time.sleep(0.001)
        proxy.down.held = True
        done.set()

    threading.Thread(target=stop_in_the_middle_of_a_record, daemon=True).start()
    link.send(replies.append, "GET", "value")
    while not done.is_set():
        hub.run_once()
        time.sleep(0.001)
    before = time.monotonic()
    link.receive()  # a blocking read would wait for the rest of the record, until its time-out of 5 s
    assert time.monotonic() - before < 2.0
    assert not replies
    proxy.down.held = False
    run(hub, lambda: bool(replies))
    assert replies == [b"z" * 10_000]


def test_tls_carries_more_than_one_record_each_way(tls_proxy: tuple[ChaosProxy, str], hub: Hub, connect: Any) -> None:
    link = connect(tls_proxy[1])
    link.attach(hub)
    replies: list[Any] = []
    link.send(replies.append, "SET", "large", LARGE)
    link.send(replies.append, "GET", "large")
    run(hub, lambda: len(replies) == 2)
    assert replies == [b"OK", LARGE]
    assert isinstance(link._socket, ssl.SSLSocket)


def test_bytes_that_move_over_tls_are_no_silence(tls_proxy: tuple[ChaosProxy, str], hub: Hub, connect: Any) -> None:
    proxy, url = tls_proxy
    link = connect(url, timeout_s=0.5)
    link.attach(hub)
    proxy.up.rate = 8_000_000
    replies: list[Any] = []
    link.send(replies.append, "SET", "large", LARGE)
    while not replies:
        link.check()
        hub.run_once()
    assert replies == [b"OK"]


def test_a_certificate_of_nobody_is_refused(tls_proxy: tuple[ChaosProxy, str], connect: Any) -> None:
    with pytest.raises(BrokerError, match="certificate"):
        connect(tls_proxy[0].url)


def test_an_absent_redis_is_a_broker_error(connect: Any) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        with pytest.raises(BrokerError, match="does not answer"):
            connect(f"redis://127.0.0.1:{port}/0")

"""The client while Redis is absent, silent, full, locked or restarted; row names are those of the fault matrix."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import redis as redis_py

from answering import answered
from sortgate import AsyncClient, Client, keys
from sortgate.cli import run
from sortgate.embedded import EmbeddedRedis
from sortgate.errors import BrokerError, QueueFullError
from sortgate.faults import ChaosProxy, Trigger
from sortgate.settings import Settings
from sortgate.testing import FakeWorker
from sortgate.types import Result

Q = "q"


@pytest.fixture
def own_server() -> Iterator[EmbeddedRedis]:
    """A server that the test may stop, starve and kill."""
    with EmbeddedRedis(appendonly=True) as server:
        yield server


def client_of(url: str, timeout_s: float = 0.5, **options: Any) -> Client:
    return Client(queue=Q, settings=Settings(redis_url=url, socket_timeout_s=timeout_s), **options)


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


CALLS: dict[str, Callable[[Client], Any]] = {
    "submit": lambda client: client.submit(["a", "b"], ids=["x", "y"]),
    "classify": lambda client: client.classify("a", timeout=30),
    "stream": lambda client: list(client.stream(["a"])),
    "results": lambda client: list(client.results(timeout=30)),
}


@pytest.mark.parametrize("call", CALLS)
def test_b2_a_silent_redis_is_given_up_in_time(own_server: EmbeddedRedis, call: str) -> None:
    with client_of(own_server.url, reconnect_s=0.5) as client:
        client.submit(["before"])
        own_server.process.send_signal(signal.SIGSTOP)
        started = time.monotonic()
        try:
            with pytest.raises(BrokerError, match=r"did not answer within 0\.5 s") as caught:
                CALLS[call](client)
        finally:
            own_server.process.send_signal(signal.SIGCONT)
        assert time.monotonic() - started < 4.0
        if call == "submit":
            assert (caught.value.submitted, caught.value.unknown) == ([], ["x", "y"])
        client.submit(["after"])  # the link heals by itself


@pytest.mark.parametrize("call", CALLS)
def test_an_absent_redis_is_a_broker_error_without_the_password(call: str) -> None:
    url = f"redis://user:s3cret@127.0.0.1:{closed_port()}/0"
    with client_of(url, reconnect_s=0.3) as client:
        with pytest.raises(BrokerError, match="refused") as caught:
            CALLS[call](client)
        assert "s3cret" not in f"{caught.value} {client!r}"
        assert caught.value.retriable


def test_b2_the_asyncio_client_gives_up_in_time_too(own_server: EmbeddedRedis) -> None:
    async def steps() -> None:
        async with AsyncClient(
            queue=Q, settings=Settings(redis_url=own_server.url, socket_timeout_s=0.5), reconnect_s=0.3
        ) as client:
            await client.submit(["before"])
            own_server.process.send_signal(signal.SIGSTOP)
            try:
                with pytest.raises(BrokerError, match="did not answer"):
                    await client.submit(["a"])
            finally:
                own_server.process.send_signal(signal.SIGCONT)
            await client.submit(["after"])

    asyncio.run(asyncio.wait_for(steps(), 20))


def test_b1_stream_goes_on_over_a_restart_and_answers_all_once(own_server: EmbeddedRedis) -> None:
    workers = [FakeWorker(own_server.url, Q, lambda text: text) for _ in range(2)]
    waiting: list[int] = []

    def restart() -> None:
        with redis_py.Redis.from_url(own_server.url) as link:
            waiting.append(int(link.xlen(keys.requests(Q))))
        own_server.kill()
        own_server.start()
        workers[1].__enter__()

    def source() -> Iterator[str]:
        for i in range(600):
            if i == 300:
                workers[0].__exit__(None, None, None)
                threading.Timer(0.4, restart).start()
            yield f"w{i}"

    workers[0].__enter__()
    with client_of(own_server.url, timeout_s=2.0) as client:
        results = list(client.stream(source(), window=100))
    workers[1].__exit__(None, None, None)
    assert waiting == [100]
    assert [result.label for result in results] == [f"w{i}" for i in range(600)]


def test_b4_results_go_on_when_connections_are_killed(redis_url: str, redis: Any) -> None:
    stop = threading.Event()

    def kill_often() -> None:
        with redis_py.Redis.from_url(redis_url) as killer:
            while not stop.wait(0.02):
                for found in killer.client_list():
                    if found["cmd"] in {"xreadgroup", "xdel", "xack", "xpending", "eval"}:
                        killer.client_kill_filter(_id=found["id"])

    with client_of(redis_url, timeout_s=2.0) as client:
        ids = client.submit([f"w{i}" for i in range(3000)])
        with FakeWorker(redis_url, Q, lambda text: text):
            while redis.xlen(keys.results(Q)) < 3000:
                time.sleep(0.01)
        thread = threading.Thread(target=kill_often)
        thread.start()
        got = []
        for result in client.results(timeout=1.0):
            got.append(result.id)
            if len(got) % 100 == 0:
                time.sleep(0.01)
        stop.set()
        thread.join()
    assert set(got) == set(ids)
    assert len(got) == len(ids)
    assert redis.xlen(keys.results(Q)) == 0


#: How enqueue.lua's reply begins: two integers.
ENQUEUED = b"*2\r\n:"


def test_b1_results_that_were_given_while_redis_was_away_are_not_given_again(own_server: EmbeddedRedis) -> None:
    """The iteration ends before Redis is back: the client's next one deletes what this one could not."""
    with redis_py.Redis.from_url(own_server.url) as redis:
        ids = answered(own_server.url, redis, Q, 20)
    given = []

    def collect(client: Client) -> None:
        for result in client.results(timeout=0.5, claim_idle_s=0.1):
            given.append(result.id)
            if len(given) == 5:
                own_server.kill()

    with client_of(own_server.url, reconnect_s=0.2) as client:
        with pytest.raises(BrokerError):
            collect(client)
        assert client.undeleted == len(given)
        own_server.start()
        time.sleep(0.2)
        collect(client)
        assert client.undeleted == 0
    assert given == ids
    with redis_py.Redis.from_url(own_server.url) as redis:
        assert redis.xlen(keys.results(Q)) == 0
        assert redis.xpending(keys.results(Q), keys.COLLECTORS)["pending"] == 0


def test_b1_the_results_command_says_what_will_come_again(
    own_server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with redis_py.Redis.from_url(own_server.url) as redis:
        ids = answered(own_server.url, redis, Q, 20)
    printed = []

    def print_and_kill(result: Result) -> None:
        printed.append(result.id)
        if len(printed) == 5:
            own_server.kill()

    monkeypatch.setattr("sortgate.cli.results.print_json_line", print_and_kill)
    monkeypatch.setattr("sortgate.cli.results.Client", partial(Client, reconnect_s=0.2))
    assert run(["results", "--queue", Q, "--timeout", "1", "--redis-url", own_server.url]) == 1
    said = capsys.readouterr().err
    own_server.start()
    with redis_py.Redis.from_url(own_server.url) as redis:
        again = redis.xlen(keys.results(Q)) - (len(ids) - len(printed))
    assert again > 0
    assert f"warning: {again} of the results that were printed" in said


def test_b1_the_asyncio_client_does_not_give_them_again_either(own_server: EmbeddedRedis) -> None:
    with redis_py.Redis.from_url(own_server.url) as redis:
        ids = answered(own_server.url, redis, Q, 20)

    given = []

    async def collect(client: AsyncClient) -> None:
        async for result in client.results(timeout=0.5, claim_idle_s=0.1):
            given.append(result.id)
            if len(given) == 5:
                own_server.kill()

    async def twice() -> None:
        settings = Settings(redis_url=own_server.url, socket_timeout_s=0.5)
        async with AsyncClient(queue=Q, settings=settings, reconnect_s=0.2) as client:
            with pytest.raises(BrokerError):
                await collect(client)
            own_server.start()
            await asyncio.sleep(0.2)
            await collect(client)

    asyncio.run(twice())
    assert given == ids


def test_p1_a_submit_whose_reply_was_lost_is_repeated_and_answered_once(
    redis_server: EmbeddedRedis, redis_url: str, redis: Any
) -> None:
    with ChaosProxy(redis_server.port) as proxy, client_of(proxy.url, timeout_s=2.0) as client:
        lost = proxy.down.trigger = Trigger(ENQUEUED)
        ids = client.submit([f"w{i}" for i in range(5)])
        assert lost.fired
    assert redis.xlen(keys.requests(Q)) == 10  # both attempts arrived
    with FakeWorker(redis_url, Q, lambda text: text), Client(redis_url, Q) as client:
        assert sorted(result.id for result in client.results(timeout=0.5)) == sorted(ids)
    assert redis.hget(keys.counters(Q), "duplicates") == "5"


def test_p1_classify_whose_reply_was_lost_is_answered(redis_server: EmbeddedRedis, redis_url: str) -> None:
    with (
        FakeWorker(redis_url, Q, lambda text: text),
        ChaosProxy(redis_server.port) as proxy,
        client_of(proxy.url, timeout_s=2.0) as client,
    ):
        lost = proxy.down.trigger = Trigger(ENQUEUED)
        assert client.classify("hello").label == "hello"
        assert lost.fired


def test_b7_a_full_memory_refuses_and_loses_nothing(own_server: EmbeddedRedis) -> None:
    with redis_py.Redis.from_url(own_server.url, protocol=2) as link:  # noqa: SIM117 - two roles
        with client_of(own_server.url, timeout_s=2.0) as client:
            accepted = client.submit([f"w{i}" for i in range(100)])
            link.config_set("maxmemory", 1)
            with pytest.raises(QueueFullError, match="memory limit") as caught:
                client.submit(["a"] * 600)
            assert caught.value.submitted == []
            with pytest.raises(QueueFullError, match="memory limit"):
                client.classify("a")
            assert link.xlen(keys.requests(Q)) == 100
            with FakeWorker(own_server.url, Q, lambda text: text):  # workers drain although memory is full
                while link.xlen(keys.requests(Q)):
                    time.sleep(0.01)
            # collecting makes room, so it works although memory is full
            assert [result.id for result in client.results(timeout=0.3)] == accepted


def test_b7_stream_waits_for_memory(own_server: EmbeddedRedis) -> None:
    with redis_py.Redis.from_url(own_server.url) as link:
        link.config_set("maxmemory", 1)
        threading.Timer(0.3, lambda: link.config_set("maxmemory", 0)).start()
        with FakeWorker(own_server.url, Q, lambda text: text), client_of(own_server.url, timeout_s=2.0) as client:
            labels = [result.label for result in client.stream([f"w{i}" for i in range(20)])]
        assert labels == [f"w{i}" for i in range(20)]
        assert link.xlen(keys.results(Q)) == 0  # none missed its reply stream


def test_b11_a_replica_is_named(own_server: EmbeddedRedis) -> None:
    with redis_py.Redis.from_url(own_server.url) as link, client_of(own_server.url) as client:
        link.execute_command("REPLICAOF", "127.0.0.1", str(closed_port()))
        with pytest.raises(BrokerError, match="read-only replica"):
            client.submit(["a"])


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("password", "says"), [(":wr0ng@", "refuses the user name or password"), ("", "asks for a password")]
)
def test_b12_wrong_and_missing_passwords_fail_at_once_and_stay_secret(password: str, says: str, call: str) -> None:
    with EmbeddedRedis(password="right one") as server:
        with client_of(f"redis://{password}127.0.0.1:{server.port}/0") as client:
            started = time.monotonic()
            with pytest.raises(BrokerError, match=says) as caught:
                CALLS[call](client)
        assert time.monotonic() - started < 1.0
        assert "wr0ng" not in str(caught.value)
        assert not caught.value.retriable
        with client_of(server.url) as client:
            client.submit(["a"])


def test_b12_a_missing_permission_is_named(redis_url: str, redis: Any) -> None:
    redis.execute_command("ACL", "SETUSER", "reader", "on", ">pw", "~*", "+@read", "+@connection")
    url = redis_url.replace("redis://", "redis://reader:pw@")
    try:
        with client_of(url) as client, pytest.raises(BrokerError, match="does not let this user"):
            client.submit(["a"])
    finally:
        redis.execute_command("ACL", "DELUSER", "reader")


def test_b1_queues_are_watched_over_a_restart(own_server: EmbeddedRedis) -> None:
    command = [sys.executable, "-m", "sortgate", "queues", "--watch", "--json", "--interval", "0.1", "--queue", Q]
    with subprocess.Popen(
        [*command, "--redis-url", own_server.url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as watch:
        assert watch.stdout is not None
        assert watch.stderr is not None
        try:
            assert json.loads(watch.stdout.readline())[0]["queue"] == Q
            own_server.kill()
            while "trying again" not in (said := watch.stderr.readline()):
                assert said, "it has ended"
            own_server.start()
            with client_of(own_server.url) as client:
                client.submit(["hello"])
            while json.loads(watch.stdout.readline())[0]["backlog"]["normal"] != 1:
                assert watch.poll() is None
        finally:
            watch.send_signal(signal.SIGINT)
            watch.stderr.read()
    assert watch.returncode == 130

"""Queues on a real Redis Cluster, three primaries and three replicas, the broker beside it; slots change hands."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis as redis_py

from sortgate import AsyncClient, Client, keys
from sortgate.embedded import EmbeddedRedis
from waiting import wait_for

SLOTS = 16_384
NODES = 6
TEXTS = [f"hello world number {i}" for i in range(2_000)]


class Cluster:
    """Six servers; ``queues`` has a queue of each primary, in the order of the primaries."""

    def __init__(self, servers: list[EmbeddedRedis]) -> None:
        self.servers = servers
        self.links = [redis_py.Redis.from_url(server.url, decode_responses=True) for server in servers]
        primaries = self.links[:3]
        for server, link in zip(servers[1:], self.links[1:], strict=True):
            self._run(0, "CLUSTER", "MEET", "127.0.0.1", server.port)
            assert link.ping()
        bounds = [0, SLOTS // 3, 2 * SLOTS // 3, SLOTS]
        for number in range(3):
            self._run(number, "CLUSTER", "ADDSLOTS", *range(bounds[number], bounds[number + 1]))
        wait_for(lambda: all(self._known(number) == NODES for number in range(NODES)), what="all have met")
        for number in range(3):
            self._run(number + 3, "CLUSTER", "REPLICATE", self._run(number, "CLUSTER", "MYID"))
        wait_for(lambda: all(self._ready(number) for number in range(NODES)), what="the cluster is up")
        found: dict[int, str] = {}
        for name in (f"tickets-{number}" for number in range(100)):
            slot = int(primaries[0].execute_command("CLUSTER", "KEYSLOT", keys.requests(name)))
            found.setdefault(next(number for number in range(3) if slot < bounds[number + 1]), name)
        self.queues = [found[number] for number in range(3)]

    def _run(self, number: int, *command: Any) -> Any:
        return self.links[number].execute_command(*command)

    def _known(self, number: int) -> int:
        return len(self._run(number, "CLUSTER", "NODES").splitlines())

    def _ready(self, number: int) -> bool:
        info = self.links[number].info("replication")
        linked = info["role"] == "master" or info["master_link_status"] == "up"
        return linked and "cluster_state:ok" in self._run(number, "CLUSTER", "INFO")

    def _role(self, number: int) -> str:
        role: str = self.links[number].info("replication")["role"]
        return role

    def waiting(self, number: int) -> int:
        """Return how many texts of a primary's queue are not answered yet."""
        return int(self._run(number, "XLEN", keys.requests(self.queues[number])))

    def fail_over(self, number: int) -> None:
        """Let a primary and its replica change places, without losing a write."""
        replica = next(each for each in (number, number + 3) if self._role(each) == "slave")
        self._run(replica, "CLUSTER", "FAILOVER")
        wait_for(lambda: self._role(replica) == "master", what="the replica leads")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    options = {"cluster-enabled": "yes", "cluster-node-timeout": "2000", "cluster-config-file": "nodes.conf"}
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(EmbeddedRedis(port=port, appendonly=True, config=options)) for port in low_ports(NODES)
        ]
        yield Cluster(servers)


def low_ports(count: int) -> list[int]:
    """Return free ports that leave room for the cluster bus, ten thousand above each."""
    found: list[int] = []
    port = 10_000 + os.getpid() % 10_000
    while len(found) < count:
        port += 1
        address, bus = ("127.0.0.1", port), ("127.0.0.1", port + 10_000)
        with contextlib.suppress(OSError), socket.create_server(address), socket.create_server(bus):
            found.append(port)
    return found


@pytest.fixture
def worker(cluster: Cluster, start_worker: Callable[..., Any], redis_url: str) -> Any:
    """A worker of all three queues that is told the URL of one node."""
    served = ",".join(f"{queue}=toy" for queue in cluster.queues)
    return start_worker(
        served, url=cluster.servers[0].url, concurrency=2, SORTGATE_BROKER_URL=redis_url,
        SORTGATE_LEASE_S="3", SORTGATE_SWEEP_S="1", SORTGATE_SOCKET_TIMEOUT_S="2",
    )  # fmt: skip


@contextlib.contextmanager
def stopped(worker: Any) -> Iterator[None]:
    """Keep a worker from answering meanwhile."""
    os.killpg(worker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(worker.pid, signal.SIGCONT)


def collect(client: Client, wanted: int) -> Counter[str]:
    """Return how often each id was answered."""
    results = list(client.results(timeout=20.0, max=wanted))
    assert {result.status for result in results} == {"ok"}
    results += client.results(timeout=1.0)  # one too many would come now
    return Counter(result.id for result in results)


def test_a_worker_and_clients_find_every_queue_s_node_and_follow_it(cluster: Cluster, worker: Any) -> None:
    clients = [Client(cluster.servers[1].url, queue=queue) for queue in cluster.queues]
    with contextlib.ExitStack() as stack:
        for client in clients:
            stack.enter_context(client)
        for client in clients:
            assert client.classify("hello", timeout=20.0).status == "ok"
        ids: list[list[str]] = [[], [], []]
        for number in (0, 1):
            with stopped(worker):
                for client, of_queue in zip(clients, ids, strict=True):
                    of_queue += client.submit(TEXTS)
            assert cluster.waiting(number) > 0
            cluster.fail_over(number)
        for client, of_queue in zip(clients, ids, strict=True):
            assert collect(client, len(of_queue)) == Counter(of_queue)
    assert worker.process.poll() is None
    assert cluster.links[0].info("replication")["role"] == "slave", "a node of which the URL is known leads no more"


@pytest.mark.usefixtures("worker")
def test_threads_may_share_a_client_while_the_queue_moves(cluster: Cluster) -> None:
    with Client(cluster.servers[1].url, queue=cluster.queues[0]) as client, ThreadPoolExecutor(8) as threads:
        calls = [threads.submit(client.classify, text, 20.0) for text in TEXTS[:400]]
        wait_for(lambda: sum(call.done() for call in calls) > 20, what="calls are answered")
        assert not all(call.done() for call in calls)
        cluster.fail_over(0)
        assert {call.result().status for call in calls} == {"ok"}


@pytest.mark.usefixtures("worker")
def test_an_asynchronous_client_and_the_command_line_find_it_too(cluster: Cluster) -> None:
    async def ask(queue: str) -> list[str]:
        async with AsyncClient(cluster.servers[2].url, queue=queue) as client:
            several = await asyncio.gather(*(client.classify(text, timeout=20.0) for text in TEXTS[:20]))
            return [made.status for made in several] + [made.status async for made in client.stream(TEXTS[:50])]

    for queue in cluster.queues:
        assert asyncio.run(ask(queue)) == ["ok"] * 70
        for command in (["queues"], ["queues", "--queue", queue], ["dead", "list", "--queue", queue]):
            done = subprocess.run(
                [sys.executable, "-m", "sortgate", *command, "--redis-url", cluster.servers[2].url],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("worker")
def test_a_primary_that_dies_is_followed_to_its_replica(cluster: Cluster) -> None:
    primary = next(number for number in (2, 5) if cluster.links[number].info("replication")["role"] == "master")
    with Client(cluster.servers[1].url, queue=cluster.queues[2]) as client:
        assert client.classify("hello", timeout=20.0).status == "ok"
        cluster.servers[primary].kill()
        started = time.monotonic()
        try:
            wait_for(lambda: answers(client), 30.0, what="the replica serves the queue")
            assert time.monotonic() - started < 25.0
        finally:
            cluster.servers[primary].start()


def answers(client: Client) -> bool:
    with contextlib.suppress(Exception):
        return client.classify("hello again", timeout=2.0).status == "ok"
    return False

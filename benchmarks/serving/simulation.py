"""A model of workers and Redis servers: where texts queue up, and what a worker or a server more would bring.

A closed network of queues. Each worker has two batches a process on their way, as ``sortgate worker`` does: one is
classified while the other is read or committed. A batch is read (Redis, then the worker's main process), classified
(one of its pool processes) and committed (main process, Redis), then the next takes its place, since the queue never
runs empty. Redis and the main process do one thing at a time; what is runnable on a machine shares its cores evenly.
What there is to know about a machine is the processor time of a text in each part, which ``scaling.py`` measures.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

#: Batches a run, a worker's share at least this many; those before are left out of the rate.
BATCHES, WARM_UP = 40, 10


@dataclass(frozen=True)
class Costs:
    """Processor time of a text in microseconds, and of a message's way between two machines.

    Attributes:
        redis: reading and committing it.
        main: the worker's main process.
        pool: the process that classifies.
        wire: one way, for a whole batch; nothing on one machine.
    """

    redis: float
    main: float
    pool: float
    wire: float = 250.0


@dataclass(eq=False)
class Machine:
    """Cores that runnable servers share, and the processor time spent."""

    cores: int
    running: dict[Server, float] = field(default_factory=dict)
    spent: float = 0.0

    @property
    def pace(self) -> float:
        """Progress of each runnable server: 1 where there is a core for each."""
        return min(1.0, self.cores / len(self.running)) if self.running else 0.0


@dataclass(eq=False)
class Server:
    """Does one thing at a time, in order of arrival."""

    machine: Machine
    waiting: deque[tuple[float, Batch]] = field(default_factory=deque)
    doing: Batch | None = None
    spent: float = 0.0

    def take(self, work: float, batch: Batch) -> None:
        """Queue some microseconds of work on a batch."""
        self.waiting.append((work, batch))
        self.start()

    def start(self) -> None:
        """Begin with what waits, when idle."""
        if self.doing is None and self.waiting:
            work, self.doing = self.waiting.popleft()
            self.machine.running[self] = work

    def finish(self) -> Batch:
        """Return the batch whose work is done, and begin with the next."""
        batch, self.doing = self.doing, None
        assert batch is not None
        del self.machine.running[self]
        self.start()
        return batch


@dataclass(eq=False)
class Batch:
    """A batch's way: servers and work, round and round."""

    stages: Sequence[tuple[Server, float, float]]
    at: int = 0
    rounds: int = 0

    def step(self) -> tuple[Server, float, float]:
        """Return the next server, the work there, and the wire before it."""
        stage = self.stages[self.at]
        self.at = (self.at + 1) % len(self.stages)
        return stage


@dataclass(frozen=True)
class Found:
    """Texts a second, and how busy the busiest Redis and all workers' cores were (1: all the time)."""

    texts_per_s: float
    redis_busy: float
    cores_busy: float


def simulate(
    costs: Costs, *, workers: int, processes: int = 1, shards: int = 1, cores: int = 0, texts: int = 512
) -> Found:
    """Return what ``workers`` reach.

    Args:
        processes: of each worker.
        shards: Redis servers; worker n serves a queue on server n modulo their number.
        cores: of the one machine that has everything; 0 for a machine of its own for each Redis, and one with as many
            cores as processes and one more for each worker.
        texts: of a batch.
    """
    one = Machine(cores) if cores else None
    wire = 0.0 if one else costs.wire
    servers = [Server(one or Machine(1)) for _ in range(shards)]
    batches: list[Batch] = []
    for number in range(workers):
        machine = one or Machine(processes + 1)
        redis, main = servers[number % shards], Server(machine)
        pool = [Server(machine) for _ in range(processes)]
        for token in range(2 * processes):
            half, own = texts / 2.0, pool[token % processes]
            batches.append(Batch([
                (redis, costs.redis * half, wire), (main, costs.main * half, wire),
                (own, costs.pool * texts, 0.0), (main, costs.main * half, 0.0), (redis, costs.redis * half, wire),
            ]))  # fmt: skip
    return _run(batches, servers, texts)


def _run(batches: list[Batch], redis: list[Server], texts: int) -> Found:
    machines = {server.machine for batch in batches for server, _, _ in batch.stages}
    flying: list[tuple[float, Server, float, Batch]] = []  # on the wire: when it arrives, where, work, batch
    now = began = 0.0
    done = counted = 0
    before: dict[Server, float] = {}
    moving = list(batches)
    most = BATCHES * len(batches)
    while done < most:
        for batch in moving:
            server, work, wire = batch.step()
            if wire:
                flying.append((now + wire, server, work, batch))
            else:
                server.take(work, batch)
        moving = []
        ends = min((left / machine.pace for machine in machines for left in machine.running.values()), default=1e18)
        span = min([ends, *(arrives - now for arrives, *_ in flying)])
        now += span
        for machine in machines:
            pace = machine.pace
            for server in list(machine.running):
                machine.running[server] -= span * pace
                server.spent += span * pace
                machine.spent += span * pace
        for machine in machines:
            for server in [one for one, left in machine.running.items() if left <= 1e-6]:
                batch = server.finish()
                moving.append(batch)
                done += batch.at == 0
        for arrived in [item for item in flying if item[0] <= now + 1e-6]:
            flying.remove(arrived)
            arrived[1].take(arrived[2], arrived[3])
        if not began and done >= WARM_UP * len(batches):
            began, counted = now, done
            before = {server: server.spent for server in redis}
            for machine in machines:
                machine.spent = 0.0
    seconds = now - began
    others = machines - {server.machine for server in redis} or machines
    return Found(
        texts_per_s=(done - counted) * texts / seconds * 1e6,
        redis_busy=max((server.spent - before[server]) / seconds for server in redis),
        cores_busy=sum(machine.spent for machine in others) / seconds / sum(machine.cores for machine in others),
    )

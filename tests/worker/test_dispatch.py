"""What the dispatcher has its queues read when a process becomes free; the pool alone is none of Celery's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from kombu.asynchronous import Hub

from sortgate import Client
from sortgate.messages import parse_request, result_fields
from sortgate.settings import Settings
from sortgate.worker import dispatch
from sortgate.worker.answer import pack_answers
from sortgate.worker.child import Tried
from sortgate.worker.dispatch import Dispatcher
from sortgate.worker.entries import Entry, PackedBatch
from sortgate.worker.figures import WAIT_S


class Pool:
    """One process, whose jobs the test ends."""

    num_processes = 1

    def __init__(self) -> None:
        handler = SimpleNamespace(_recv_message=None, _hub=None)
        self._pool = SimpleNamespace(_result_handler=handler, on_hard_timeout=None, _pool=[])
        self.jobs: list[tuple[bytes, Callable[[Any], None], Callable[[Any], None]]] = []

    def on_apply(self, _target: Any, args: tuple[bytes], **options: Any) -> Any:
        self.jobs.append((args[0], options["callback"], options["error_callback"]))
        return SimpleNamespace(discard=None)


class Loop:
    """Two queues of one worker in an event loop that ticks seldom, since a tick reads, too."""

    def __init__(self, url: str) -> None:
        self.hub, self.pool = Hub(), Pool()
        self.dispatcher = Dispatcher(self.pool, Settings(redis_url=url, max_deliveries=1), ["a", "b"], self.fatal)
        self.dispatcher._open = True
        for consumer in self.dispatcher.consumers.values():
            consumer.attach(self.hub)
        self.hub.call_repeatedly(5.0, self.dispatcher.tick)
        self.clients = {queue: Client(url, queue=queue) for queue in ("a", "b")}

    def fatal(self, error: Exception) -> None:
        raise AssertionError(error)

    def run(self, until: Callable[[], bool], timeout_s: float = 4.0) -> None:
        ends = time.monotonic() + timeout_s
        while not until():
            assert time.monotonic() < ends, "not in time"
            self.hub.call_later(0.005, lambda: None)
            self.hub.run_once()

    def submit(self, queue: str, text: str) -> None:
        self.clients[queue].submit([text])

    def waiting(self, queue: str) -> int:
        return self.dispatcher.consumers[queue].hand.waiting

    def take(self) -> tuple[str, Callable[[], None], Callable[[], None]]:
        """Return the running job's queue, and what answers it and what fails it."""
        [(packed, done, failed)] = self.pool.jobs
        self.pool.jobs = []
        batch = msgspec.msgpack.decode(packed, type=PackedBatch)
        answers = []
        for stream, entry, fields in batch.entries:
            request = parse_request(entry, fields, batch.queue)
            made = result_fields(request, "expired", code="deadline", message="")
            answers.append((stream, entry, request.dedupe_id, request.reply, "expired", made))
        figures = (0, 0, 0.0, 0.0, [0] * (len(WAIT_S) + 1), 0.0)
        info = SimpleNamespace(exception=RuntimeError(), type=RuntimeError)
        return batch.queue, lambda: done(tuple(Tried(pack_answers(answers), figures))), lambda: failed(info)

    def close(self) -> None:
        for consumer in self.dispatcher.consumers.values():
            for link in consumer._links:
                link.close()
        for client in self.clients.values():
            client.close()
        self.hub.close()


@pytest.fixture
def loop(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loop]:
    monkeypatch.setattr(dispatch, "MOST_PAUSE_S", 60.0)
    loop = Loop(redis_url)
    loop.dispatcher._batch_s = 120.0
    yield loop
    loop.close()


def busy_with_a(loop: Loop) -> None:
    """Have the process work for queue a, and queue b pause while a text of it waits in Redis."""
    loop.run(lambda: all(consumer._reader.reading for consumer in loop.dispatcher.consumers.values()))
    loop.submit("a", "first")
    loop.run(lambda: len(loop.pool.jobs) == 1)
    loop.submit("b", "second")
    loop.run(lambda: loop.waiting("b") == 1)
    loop.submit("b", "third")
    ends = time.monotonic() + 0.2
    loop.run(lambda: time.monotonic() > ends)
    assert loop.waiting("b") == 1, "there is no hurry to read it"


@pytest.mark.parametrize("end", ["answered", "failed"])
def test_a_process_that_is_free_ends_the_pause_of_every_queue(loop: Loop, end: str) -> None:
    busy_with_a(loop)
    queue, done, _ = loop.take()
    assert queue == "a"
    done()
    queue, done, failed = loop.take()
    assert queue == "b", "what is in hand comes at once"
    readers = [consumer._reader for consumer in loop.dispatcher.consumers.values()]
    assert not any(reader.reading for reader in readers)
    (done if end == "answered" else failed)()
    assert all(reader.reading for reader in readers), "before Redis has confirmed any answer, which would have it read"
    loop.run(lambda: len(loop.pool.jobs) == 1)
    assert loop.take()[0] == "b"


def test_batches_grow_while_texts_are_cheap(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(dispatch, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(dispatch, "MOST_PAUSE_S", 0.0)
    loop.dispatcher._batch_s = 0.0
    loop.clients["a"].submit([f"text {number}" for number in range(9_000)])
    hands = {queue: consumer.hand for queue, consumer in loop.dispatcher.consumers.items()}
    sizes: list[int] = []
    capacities: list[int] = []

    def settled() -> bool:
        """Whether what was answered is confirmed, and what may be read has been read."""
        hand = hands["a"]
        return len(hand) - hand.waiting == sizes[-1] and hand.room * 4 < hand.capacity

    for text_s in [0.0001] * 10 + [0.01] * 10:
        loop.run(lambda: len(loop.pool.jobs) == 1)
        sizes.append(len(msgspec.msgpack.decode(loop.pool.jobs[0][0], type=PackedBatch).entries))
        capacities.append(hands["a"].capacity)
        loop.run(settled)
        now += sizes[-1] * text_s
        loop.take()[1]()
        assert len(loop.pool.jobs) == 1, "the process that is free need not wait for a read"
    assert sizes[0] <= 256, "nothing is known of the cost"
    assert capacities[0] == 512
    assert sizes[3:10] == [512] * 7
    assert capacities[9] == 1024
    assert sizes[-5:] == [256] * 5, "they have become expensive"
    assert capacities[-1] == 512
    assert hands["b"].capacity == 512, "each queue has a size of its own"


def test_urgent_texts_of_a_queue_take_none_of_its_turns(loop: Loop) -> None:
    fields = [b"v", b"1", b"text", b"hello"]
    hands = {queue: consumer.hand for queue, consumer in loop.dispatcher.consumers.items()}
    for queue, hand in hands.items():
        loop.dispatcher.consumers[queue]._reader.held = True
        for number in range(5_000):
            hand.add(Entry(2, f"1-{number}", fields))
    order = []
    for number in range(18):
        hands["a"].add(Entry(1, f"2-{number}", fields))
        loop.dispatcher.fill()
        [(packed, _, _)] = loop.pool.jobs
        streams = {entry[0] for entry in msgspec.msgpack.decode(packed, type=PackedBatch).entries}
        queue, done, _ = loop.take()
        order.append("urgent" if streams == {1} else queue)
        done()
    assert order == ["urgent", "a", "b"] * 6

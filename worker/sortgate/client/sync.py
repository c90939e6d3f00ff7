"""The blocking client."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar, overload

import redis

from sortgate.client.base import BaseClient, Commands, Note, Pull, Sleep, Steps, as_source
from sortgate.client.collect import Collector
from sortgate.client.connection import create_redis
from sortgate.client.exchange import Exchange, classified, classify_exchange
from sortgate.client.nodes import PAUSE_S, REDIRECTS, Nodes
from sortgate.errors import ClientError
from sortgate.types import Priority, Result

T = TypeVar("T")

#: Texts pulled are sent after this long at the latest, unless the source blocks.
_PULL_S = 0.01


class Client(BaseClient):
    """Enqueues texts on one queue and reads their labels; safe to share between threads.

    ::

        with Client(queue="tickets") as client:
            print(client.classify("My screen stays black").label)
    """

    def _prepare(self) -> None:
        self._nodes = Nodes(partial(create_redis, self.settings))

    def submit(
        self,
        texts: Iterable[str],
        ids: Sequence[str] | None = None,
        *,
        deadline_s: float | None = None,
        model: str | None = None,
        meta: str | Sequence[str] | None = None,
        priority: Priority | None = None,
        explain: bool = False,
    ) -> list[str]:
        """Enqueue texts whose results :meth:`results` will give, here or in any other process.

        Args:
            texts: the texts; all are checked before any is sent.
            ids: one id a text, at most 256 bytes each; by default new ones. Of two texts with the same id within
                the de-duplication window (10 minutes) only the first is answered.
            deadline_s: seconds from now, by Redis's clock, after which a text is answered ``expired``.
            model: version or fingerprint of the bundle that must answer.
            meta: up to 16 KiB that come back with the result: one string for all, or one a text.
            priority: other than the client's.
            explain: ask for an explanation with each result; costs a worker about as much as 70 texts.

        Returns:
            The ids, in order.

        Raises:
            MessageError: a text or an argument cannot be sent; nothing was enqueued.
            QueueFullError: the queue, or Redis's memory, is full. ``.submitted`` holds the ids enqueued before.
            BrokerError: Redis is absent or refuses. ``.submitted`` as above, ``.unknown`` those that may be.
        """
        common, each = (meta, None) if isinstance(meta, str) else (None, meta)
        items = self._items(texts, ids, each)
        envelope = self._envelope(priority, None, model, deadline_s, common, explain)
        return self._run(self._submit(items, envelope))

    @overload  # a str is a sequence of str, too: the first match counts
    def classify(  # type: ignore[overload-overlap]
        self,
        texts: str,
        timeout: float = ...,
        *,
        model: str | None = ...,
        priority: Priority | None = ...,
        explain: bool = ...,
        raise_errors: bool = ...,
    ) -> Result: ...

    @overload
    def classify(
        self,
        texts: Sequence[str],
        timeout: float = ...,
        *,
        model: str | None = ...,
        priority: Priority | None = ...,
        explain: bool = ...,
        raise_errors: bool = ...,
    ) -> list[Result]: ...

    def classify(
        self,
        texts: str | Sequence[str],
        timeout: float = 10.0,
        *,
        model: str | None = None,
        priority: Priority | None = None,
        explain: bool = False,
        raise_errors: bool = True,
    ) -> Result | list[Result]:
        """Classify one text, or a list of texts in one go, and wait for the answer.

        Args:
            texts: a text, answered by a result; or texts, answered by a list of results in the same order.
            timeout: seconds for the whole call; workers drop what nobody waits for any more.
            model: version or fingerprint of the bundle that must answer.
            priority: other than the client's.
            explain: ask for ``Result.explanation``; costs a worker about as much as 70 texts.
            raise_errors: raise for the first result that is not ``ok`` instead of returning it.

        Raises:
            MessageError: a text cannot be sent; nothing was enqueued.
            ResultTimeoutError: not all results came in time.
            ResultError: a text was answered with another status than ``ok``.
            QueueFullError: the queue, or Redis's memory, is full.
            BrokerError: Redis is absent or refuses.
        """
        single = isinstance(texts, str)
        items = self._items([texts] if isinstance(texts, str) else texts, None, None)
        exchange = classify_exchange(self, len(items), timeout, model, priority, explain)
        results = classified(list(self._iterate(exchange.steps(), (item.text for item in items))), raise_errors)
        return results[0] if single else results

    def stream(
        self,
        texts: Iterable[str],
        window: int = 1000,
        ordered: bool = True,
        *,
        timeout: float | None = 60.0,
        model: str | None = None,
        priority: Priority | None = None,
        explain: bool = False,
    ) -> Generator[Result, None, None]:
        """Classify texts as they come, without end if need be; memory and queue hold at most ``window`` of them.

        Every text gives exactly one result, whose ``index`` is the text's position; failures are results too
        (``status``). A text that cannot be sent is answered ``rejected`` on the spot. Texts are pulled only when
        there is room in the window, and a full queue is waited for. Results come between two pulls, so they wait
        while ``texts`` blocks; :meth:`AsyncClient.stream` has no such limit.

        Args:
            texts: any iterable of texts.
            window: most texts pulled and not yet given back, up to the bound of a reply stream (100,000).
            ordered: give results in the order of the texts, else as they finish.
            timeout: seconds without any result, while some are owed, after which to give up; None waits for ever.
            model: version or fingerprint of the bundle that must answer.
            priority: other than the client's.
            explain: ask for ``Result.explanation``; costs a worker about as much as 70 texts.

        Raises:
            ResultTimeoutError: no result came within ``timeout``.
            BrokerError: Redis refuses, or was out of reach for ``reconnect_s``.
        """
        exchange = Exchange(
            self,
            window=window,
            ordered=ordered,
            timeout_s=timeout,
            model=model,
            priority=priority,
            explain=explain,
        )
        return self._iterate(exchange.steps(), iter(as_source(texts)))

    def results(
        self,
        timeout: float | None = None,
        max: int | None = None,  # noqa: A002 - a public name
        *,
        claim_idle_s: float = 60.0,
    ) -> Generator[Result, None, None]:
        """Iterate over the results of submitted texts; each is deleted when the iterator moves on.

        Several processes may iterate: each result goes to one of them. What a process held when it crashed is
        given to another after ``claim_idle_s``, and so is an item that is worked on for longer than that.

        Args:
            timeout: end when no result came for this many seconds; None waits for ever.
            max: end after this many results.
            claim_idle_s: seconds after which another collector's item counts as abandoned.

        Raises:
            BrokerError: Redis refuses, or was out of reach for ``reconnect_s``.
        """
        collector = Collector(self, timeout_s=timeout, most=max, claim_idle_s=claim_idle_s)
        try:
            yield from self._iterate(collector.steps(), iter(()))
        finally:
            with contextlib.suppress(ClientError):
                self._run(collector.leave())

    def close(self) -> None:
        """Delete the reply streams of finished calls and close the connections."""
        if self._spent:
            with contextlib.suppress(ClientError):
                self._perform(Commands([("UNLINK", *self._spent)]), iter(()))
            self._spent.clear()
        for link in self._nodes.opened():
            link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _iterate(self, steps: Steps[T], source: Iterator[str]) -> Generator[Result, None, T]:
        """Carry out steps; results go to the caller."""
        outcome: Any = None
        failure: ClientError | None = None
        while True:
            try:
                step = steps.send(outcome) if failure is None else steps.throw(failure)
            except StopIteration as end:
                value: T = end.value
                return value
            outcome = failure = None
            if isinstance(step, Result):
                yield step
                continue
            try:
                outcome = self._perform(step, source)
            except ClientError as error:
                failure = error

    def _run(self, steps: Steps[T]) -> T:
        iteration = self._iterate(steps, iter(()))
        while True:
            try:
                next(iteration)
            except StopIteration as end:
                value: T = end.value
                return value

    def _perform(self, step: Commands | Pull | Sleep | Note, source: Iterator[str]) -> Any:
        if isinstance(step, Pull):
            return _pull(source, step.limit)
        if isinstance(step, Sleep):
            time.sleep(step.seconds)
            return None
        if isinstance(step, Note):
            if self.journal is not None:
                self.journal.write(step.op, step.ids, self.queue)
            return None
        return self._send(step)

    def _send(self, step: Commands) -> list[Any]:
        for turn in range(REDIRECTS):
            if turn > 1:
                time.sleep(PAUSE_S)  # nodes that do not agree need a moment
            link = self._nodes.current
            replies = self._send_to(link, step)
            if not self._nodes.learn(link, replies):
                break
            _drop_idle(link)
        return replies

    def _send_to(self, link: redis.Redis, step: Commands) -> list[Any]:
        try:
            with link.pipeline(transaction=False) as pipe:
                for command in step.commands:
                    pipe.execute_command(*command)  # type: ignore[no-untyped-call]
                replies: list[Any] = pipe.execute(raise_on_error=False)
                return replies
        except (redis.RedisError, OSError) as error:
            _drop_idle(link)
            self._nodes.turn(link)
            raise self.error_from(error) from None


def _drop_idle(link: redis.Redis) -> None:
    """Close connections that nobody uses: they are as broken as the one that failed."""
    link.connection_pool.disconnect(inuse_connections=False)


def _pull(source: Iterator[str], limit: int) -> tuple[list[str], bool]:
    """Take up to ``limit`` texts, fewer when the source is slow: those at hand should not wait for the next."""
    end = time.monotonic() + _PULL_S
    texts: list[str] = []
    while len(texts) < limit:
        try:
            texts.append(next(source))
        except StopIteration:
            return texts, True
        if time.monotonic() > end:
            break
    return texts, False

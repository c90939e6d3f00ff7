"""The asyncio client: the same names and arguments as the blocking one."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from types import TracebackType
from typing import Any, Self, TypeVar, overload

import redis

from sortgate.client.base import BaseClient, Commands, Note, Pull, Sleep, Step, Steps, as_source
from sortgate.client.collect import Collector
from sortgate.client.connection import create_async_redis
from sortgate.client.exchange import Exchange, classified, classify_exchange
from sortgate.client.nodes import PAUSE_S, REDIRECTS, Nodes
from sortgate.errors import ClientError
from sortgate.types import Priority, Result

T = TypeVar("T")


class AsyncClient(BaseClient):
    """Enqueues texts on one queue and reads their labels, for one event loop.

    ::

        async with AsyncClient(queue="tickets") as client:
            print((await client.classify("My screen stays black")).label)

    Every method does what :class:`~sortgate.client.sync.Client`'s does, and raises the same.
    """

    def _prepare(self) -> None:
        self._nodes = Nodes(partial(create_async_redis, self.settings))

    async def submit(
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
        """Enqueue texts; see :meth:`Client.submit`."""
        common, each = (meta, None) if isinstance(meta, str) else (None, meta)
        items = self._items(texts, ids, each)
        envelope = self._envelope(priority, None, model, deadline_s, common, explain)
        return await self._run(self._submit(items, envelope))

    @overload  # a str is a sequence of str, too: the first match counts
    async def classify(  # type: ignore[overload-overlap]
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
    async def classify(
        self,
        texts: Sequence[str],
        timeout: float = ...,
        *,
        model: str | None = ...,
        priority: Priority | None = ...,
        explain: bool = ...,
        raise_errors: bool = ...,
    ) -> list[Result]: ...

    async def classify(
        self,
        texts: str | Sequence[str],
        timeout: float = 10.0,
        *,
        model: str | None = None,
        priority: Priority | None = None,
        explain: bool = False,
        raise_errors: bool = True,
    ) -> Result | list[Result]:
        """Classify one text or a list of texts; see :meth:`Client.classify`."""
        single = isinstance(texts, str)
        items = self._items([texts] if isinstance(texts, str) else texts, None, None)
        exchange = classify_exchange(self, len(items), timeout, model, priority, explain)
        source = _Source(item.text for item in items)
        results = [result async for result in self._iterate(exchange.steps(), source)]
        classified(results, raise_errors)
        return results[0] if single else results

    async def stream(
        self,
        texts: Iterable[str] | AsyncIterable[str],
        window: int = 1000,
        ordered: bool = True,
        *,
        timeout: float | None = 60.0,
        model: str | None = None,
        priority: Priority | None = None,
        explain: bool = False,
    ) -> AsyncGenerator[Result, None]:
        """Classify texts as they come; see :meth:`Client.stream`.

        ``texts`` may be an asynchronous iterable: results are then given while it waits. A plain iterable is
        pulled in the event loop and must not block.
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
        source = _Source(texts if isinstance(texts, AsyncIterable) else as_source(texts), window)
        async with contextlib.aclosing(self._iterate(exchange.steps(), source)) as iteration:
            async for result in iteration:
                yield result

    async def results(
        self,
        timeout: float | None = None,
        max: int | None = None,  # noqa: A002 - a public name
        *,
        claim_idle_s: float = 60.0,
    ) -> AsyncGenerator[Result, None]:
        """Iterate over the results of submitted texts; see :meth:`Client.results`."""
        collector = Collector(self, timeout_s=timeout, most=max, claim_idle_s=claim_idle_s)
        try:
            async with contextlib.aclosing(self._iterate(collector.steps(), _Source(()))) as iteration:
                async for result in iteration:
                    yield result
        finally:
            with contextlib.suppress(ClientError):
                await self._run(collector.leave())

    async def close(self) -> None:
        """Delete the reply streams of finished calls and close the connections."""
        if self._spent:
            with contextlib.suppress(ClientError):
                await self._send(Commands([("UNLINK", *self._spent)]))
            self._spent.clear()
        for link in self._nodes.opened():
            with contextlib.suppress(redis.RedisError, OSError):
                await link.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _iterate(self, steps: Steps[Any], source: _Source) -> AsyncGenerator[Result, None]:
        """Carry out steps; results go to the caller."""
        outcome: Any = None
        failure: ClientError | None = None
        try:
            while True:
                try:
                    step = steps.send(outcome) if failure is None else steps.throw(failure)
                except StopIteration:
                    return
                outcome = failure = None
                if isinstance(step, Result):
                    yield step
                    continue
                try:
                    outcome = await self._perform(step, source)
                except ClientError as error:
                    failure = error
        finally:
            steps.close()
            await source.close()

    async def _run(self, steps: Steps[T]) -> T:
        outcome: Any = None
        failure: ClientError | None = None
        while True:
            try:
                step = steps.send(outcome) if failure is None else steps.throw(failure)
            except StopIteration as end:
                value: T = end.value
                return value
            outcome = failure = None
            try:
                outcome = await self._perform(step, _Source(()))
            except ClientError as error:
                failure = error

    async def _perform(self, step: Step, source: _Source) -> Any:
        if isinstance(step, Pull):
            return await source.pull(step.limit, step.wait)
        if isinstance(step, Sleep):
            await asyncio.sleep(step.seconds)
        if isinstance(step, Note) and self.journal is not None:
            await asyncio.to_thread(self.journal.write, step.op, step.ids, self.queue)
        if isinstance(step, Commands):
            return await self._send(step)
        return None

    async def _send(self, step: Commands) -> list[Any]:
        for turn in range(REDIRECTS):
            if turn > 1:
                await asyncio.sleep(PAUSE_S)  # nodes that do not agree need a moment
            link = self._nodes.current
            replies = await self._send_to(link, step)
            if not self._nodes.learn(link, replies):
                break
            await _drop_idle(link)
        return replies

    async def _send_to(self, link: redis.asyncio.Redis, step: Commands) -> list[Any]:
        try:
            async with link.pipeline(transaction=False) as pipe:
                for command in step.commands:
                    pipe.execute_command(*command)
                replies: list[Any] = await pipe.execute(raise_on_error=False)
                return replies
        except (redis.RedisError, OSError) as error:
            await _drop_idle(link)
            self._nodes.turn(link)
            raise self.error_from(error) from None


async def _drop_idle(link: redis.asyncio.Redis) -> None:
    """Close connections that nobody uses: they are as broken as the one that failed."""
    with contextlib.suppress(redis.RedisError, OSError):
        await link.connection_pool.disconnect(inuse_connections=False)


class _Source:
    """The caller's texts. An asynchronous iterable is drained by a task, ``ahead`` texts at most in front."""

    def __init__(self, texts: Iterable[str] | AsyncIterable[str], ahead: int = 1) -> None:
        self._texts = aiter(texts) if isinstance(texts, AsyncIterable) else iter(texts)
        self._ahead = ahead
        self._found: deque[str] = deque()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def pull(self, limit: int, wait: bool) -> tuple[list[str], bool]:
        """Return at most ``limit`` texts and whether there are no more; with ``wait``, at least one if there is."""
        if isinstance(self._texts, Iterator):
            texts = list(islice(self._texts, limit))
            return texts, len(texts) < limit
        if self._task is None:
            self._task = asyncio.create_task(self._drain(self._texts))
        while wait and not self._found and not self._task.done():
            self._changed.clear()
            await self._changed.wait()
        texts = [self._found.popleft() for _ in range(min(limit, len(self._found)))]
        self._changed.set()
        ended = self._task.done() and not self._found
        if ended:
            self._task.result()  # raises what the iterable raised
        return texts, ended

    async def _drain(self, texts: AsyncIterator[str]) -> None:
        try:
            async for text in texts:
                self._found.append(text)
                self._changed.set()
                while len(self._found) >= self._ahead:
                    self._changed.clear()
                    await self._changed.wait()
        finally:
            # once this task counts as done
            asyncio.get_running_loop().call_soon(self._changed.set)

    async def close(self) -> None:
        """Stop draining."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self._task

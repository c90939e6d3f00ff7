"""The client for ordinary programs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar, overload

import redis

from sortgate import keys
from sortgate.client.base import (
    COLLECTOR_IDLE_MS,
    REPLY_TTL_MS,
    ClientBase,
    check_ok,
    chunks,
    read_entries,
)
from sortgate.client.window import Window
from sortgate.errors import QueueFullError, ResultTimeoutError
from sortgate.settings import Settings
from sortgate.streams.scripts import run_script
from sortgate.types import Priority, Result

T = TypeVar("T")


class Client(ClientBase):
    """Enqueues texts on one queue and reads their labels back. Not for use by several threads at once.

    Args:
        url: Redis; ``SORTGATE_REDIS_URL`` when None.
        queue: the queue's name.
        priority: ``high``, ``normal`` or ``low``.
        settings: bounds and time-outs; from the environment when None.

    Raises:
        ConfigurationError: the queue's name or the URL is malformed. Nothing is connected before the first call.
    """

    def __init__(
        self,
        url: str | None = None,
        queue: str = "default",
        *,
        priority: Priority = "normal",
        settings: Settings | None = None,
    ) -> None:
        super().__init__(url, queue, priority=priority, settings=settings)
        self._redis: redis.Redis = redis.Redis.from_url(self.settings.redis_url, **self._options)
        self._collector = f"client-{self._prefix}"
        self._has_reply = False

    # -- enqueueing -------------------------------------------------------------------------------------------------

    def submit(
        self,
        texts: Iterable[str],
        *,
        ids: Sequence[str] | None = None,
        deadline_s: float | None = None,
        model: str | None = None,
        meta: str | None = None,
        priority: Priority | None = None,
    ) -> list[str]:
        """Enqueue texts whose results :meth:`results` will read; returns their ids, in order.

        Args:
            ids: your own ids; a second text of the same id within the de-duplication window is not answered.
            deadline_s: seconds from now after which no answer is wanted.
            model: version or fingerprint of the bundle that must answer.
            meta: an opaque string, echoed in each result.

        Raises:
            QueueFullError: the queue is at its bound; ``submitted`` holds the ids that did get in.
            BrokerError: Redis is absent or broke off; the same call with the same ``ids`` may be repeated safely.
            MessageError: a text cannot be sent; nothing was.
        """
        return self._submit(texts, ids, priority, self._deadline(deadline_s), model, meta, reply=None)

    def _deadline(self, deadline_s: float | None) -> int | None:
        if deadline_s is None:
            return None
        seconds, microseconds = self._call(self._redis.time)
        return round(seconds * 1000 + microseconds / 1000 + deadline_s * 1000)

    def _submit(
        self,
        texts: Iterable[str],
        ids: Sequence[str] | None,
        priority: Priority | None,
        deadline: int | None,
        model: str | None,
        meta: str | None,
        reply: str | None,
    ) -> list[str]:
        options: dict[str, str | int | None] = {"deadline": deadline, "model": model, "meta": meta, "reply": reply}
        requests = self._requests(texts, ids, options)
        stream = keys.requests(self.queue, priority or self.priority)
        sent: list[str] = []
        for chunk in chunks(requests):
            try:
                added = self._call(
                    lambda chunk=chunk: run_script(self._redis, "enqueue", [stream], *self._enqueue_args(chunk))
                )
            except QueueFullError as error:
                error.submitted = sent
                raise
            if not added:
                raise self._full(sent, len(requests))
            sent += [fields["id"] for fields in chunk]
        return sent

    # -- question and answer ----------------------------------------------------------------------------------------

    @overload
    def classify(self, text: str, *, timeout: float = ..., raise_errors: bool = ..., **options: Any) -> Result: ...
    @overload
    def classify(
        self, text: list[str], *, timeout: float = ..., raise_errors: bool = ..., **options: Any
    ) -> list[Result]: ...
    def classify(
        self, text: str | list[str], *, timeout: float = 10.0, raise_errors: bool = True, **options: Any
    ) -> Result | list[Result]:
        """Enqueue one text, or a list of them, and wait for the labels.

        Args:
            timeout: seconds for all of them.
            raise_errors: raise when a text's status is not ``ok``; else return its result as it is.
            options: ``model``, ``meta``, ``priority``, ``deadline_s`` as in :meth:`submit`.

        Raises:
            ResultTimeoutError: not all results came in time.
            ResultError: a text was answered with another status than ``ok``.
            ClientError: as :meth:`submit`.
        """
        texts = [text] if isinstance(text, str) else list(text)
        ends = time.monotonic() + timeout
        ids = self._ask(texts, **options)
        found: dict[str, Result] = {}
        wanted = set(ids)
        while len(found) < len(ids):
            left = ends - time.monotonic()
            if left <= 0:
                raise ResultTimeoutError(f"{len(ids) - len(found)} of {len(ids)} results did not come in {timeout:g} s")
            for result in self._read_replies(left):
                if result.id in wanted:
                    found[result.id] = check_ok(result) if raise_errors else result
        results = [found[ident] for ident in ids]
        return results[0] if isinstance(text, str) else results

    def stream(
        self, texts: Iterable[str], *, window: int = 2000, ordered: bool = False, timeout: float = 60.0, **options: Any
    ) -> Iterator[Result]:
        """Send texts as fast as they are answered and yield their results; ``texts`` may be endless.

        Args:
            window: most texts under way; when as many wait, no more are taken from ``texts``.
            ordered: yield in the order of ``texts``; else as they finish. A result's ``meta`` is free for your own
                bookkeeping through :meth:`submit`; here results that are not ``ok`` are yielded too.
            timeout: seconds without any result after which the worker counts as gone.

        Raises:
            ResultTimeoutError: no result came for ``timeout`` seconds while some were owed.
        """
        state = Window(window, ordered=ordered)
        source = iter(texts)
        last = time.monotonic()
        while True:
            batch = state.take(source)
            if batch:
                state.sent(self._ask_when_room(batch, timeout, **options))
            if state.finished:
                return
            for result in self._read_replies(min(1.0, timeout)):
                if state.received(result):
                    last = time.monotonic()
            yield from state.ready()
            if state.owed and time.monotonic() - last > timeout:
                raise ResultTimeoutError(f"no result for {timeout:g} s with {state.owed} owed: is a worker running?")

    def _ask_when_room(self, texts: list[str], timeout: float, **options: Any) -> list[str]:
        ends = time.monotonic() + timeout
        while True:
            try:
                return self._ask(texts, **options)
            except QueueFullError as error:
                if error.submitted or time.monotonic() > ends:
                    raise
                time.sleep(0.05)

    def _ask(
        self,
        texts: list[str],
        *,
        model: str | None = None,
        meta: str | None = None,
        priority: Priority | None = None,
        deadline_s: float | None = None,
    ) -> list[str]:
        """Enqueue with our reply stream, which must exist: a worker does not make one."""
        self._call(self._open_reply)
        return self._submit(texts, None, priority, self._deadline(deadline_s), model, meta, reply=self._reply)

    def _open_reply(self) -> None:
        if not self._redis.pexpire(self._reply, REPLY_TTL_MS):
            try:
                self._redis.xgroup_create(self._reply, "client", id="0", mkstream=True)
            except redis.ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise
            self._redis.pexpire(self._reply, REPLY_TTL_MS)
        self._has_reply = True

    def _read_replies(self, wait_s: float) -> list[Result]:
        # below the socket's time-out, or a quiet queue would look like a dead link
        block = max(1, round(min(wait_s, self.settings.socket_timeout_s / 2) * 1000))
        found = read_entries(self._call(lambda: self._redis.xread({self._reply: "0"}, count=1000, block=block)))
        if found:
            self._call(lambda: self._redis.xdel(self._reply, *[entry for entry, _ in found]))
        return [result for _, result in found]

    # -- collecting -------------------------------------------------------------------------------------------------

    def results(self, *, timeout: float | None = None, max: int | None = None) -> Iterator[Result]:  # noqa: A002
        """Yield results of submitted texts, of every producer of the queue; collectors share them out.

        A result is acknowledged and deleted when the iterator moves on to the next, so one whose handling raised is
        given to a collector again.

        Args:
            timeout: stop after this many seconds without a result; None waits for ever.
            max: stop after so many results.
        """
        stream, count = keys.results(self.queue), 0
        last = time.monotonic()
        while max is None or count < max:
            page = 500 if max is None else min(500, max - count)
            left = 1.0 if timeout is None else min(1.0, last + timeout - time.monotonic())
            found = self._call(lambda page=page, left=left: self._collect(stream, page, left))
            if not found:
                if timeout is not None and time.monotonic() - last >= timeout:
                    return
                continue
            done: list[str] = []
            try:
                for entry, result in found:
                    yield result
                    done.append(entry)
                    count += 1
            finally:
                if done:
                    self._call(lambda done=done: self._delete(stream, done))
            last = time.monotonic()

    def _collect(self, stream: str, count: int, wait_s: float) -> list[tuple[str, Result]]:
        group = (keys.COLLECTORS, self._collector)
        try:
            claimed = self._redis.xautoclaim(stream, *group, COLLECTOR_IDLE_MS, "0-0", count=count)
            found = read_entries([(stream, claimed[1])])
            if not found:
                block = max(1, round(min(wait_s, self.settings.socket_timeout_s / 2) * 1000)) if wait_s > 0 else None
                found = read_entries(self._redis.xreadgroup(*group, {stream: ">"}, count=count, block=block))
        except redis.ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            self._make_group(stream)
            return []
        return found

    def _make_group(self, stream: str) -> None:
        try:
            self._redis.xgroup_create(stream, keys.COLLECTORS, id="0", mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    def _delete(self, stream: str, entries: list[str]) -> None:
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.xack(stream, keys.COLLECTORS, *entries)
            pipe.xdel(stream, *entries)
            pipe.execute()

    # -- life -------------------------------------------------------------------------------------------------------

    def _call(self, action: Callable[[], T]) -> T:
        try:
            return action()
        except (redis.RedisError, OSError) as error:
            raise self._translate(error) from None

    def close(self) -> None:
        """Remove the reply stream and disconnect; results that still come go to the queue's result stream."""
        try:
            if self._has_reply:
                self._redis.delete(self._reply)
            self._redis.xgroup_delconsumer(keys.results(self.queue), keys.COLLECTORS, self._collector)
        except (redis.RedisError, OSError):
            pass  # the reply stream expires by itself
        self._redis.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

"""The asyncio client: the same conversations, awaited; and sources that wait."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest

from sortgate import AsyncClient, keys
from sortgate.errors import MessageError, QueueFullError, ResultError, ResultTimeoutError
from sortgate.settings import Settings
from sortgate.testing import FakeWorker

Q = "q"


def run(steps: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(steps, 30))


def same(text: str) -> str:
    if text == "crash":
        raise RuntimeError
    return text


def test_submit_and_results(redis_url: str, redis: Any) -> None:
    async def steps() -> None:
        async with AsyncClient(redis_url, Q) as client:
            ids = await client.submit([f"w{i}" for i in range(600)])
            got = [result.id async for result in client.results(max=600, timeout=5)]
            assert sorted(got) == sorted(ids)

    with FakeWorker(redis_url, Q, same):
        run(steps())
    assert redis.xlen(keys.results(Q)) == 0


def test_classify(redis_url: str, redis: Any) -> None:
    async def steps() -> None:
        async with AsyncClient(redis_url, Q) as client:
            assert (await client.classify("a")).label == "a"
            assert [r.label for r in await client.classify(["a", "b"])] == ["a", "b"]
            with pytest.raises(ResultError):
                await client.classify("crash")
            with pytest.raises(MessageError):
                await client.classify("\ud800")
            answers = await asyncio.gather(*(client.classify(f"w{i}") for i in range(50)))
            assert [answer.label for answer in answers] == [f"w{i}" for i in range(50)]

    with FakeWorker(redis_url, Q, same):
        run(steps())
    assert redis.keys(keys.reply_prefix(Q) + "*") == []


@pytest.mark.parametrize("ordered", [True, False])
def test_stream_of_a_plain_iterable(redis_url: str, ordered: bool) -> None:
    async def steps() -> None:
        async with AsyncClient(redis_url, Q) as client:
            got = [r async for r in client.stream((f"w{i}" for i in range(1500)), window=200, ordered=ordered)]
            positions = [result.index for result in got]
            assert (positions if ordered else sorted(positions)) == list(range(1500))  # type: ignore[type-var]
            assert all(result.label == f"w{result.index}" for result in got)

    with FakeWorker(redis_url, Q, same):
        run(steps())


def test_results_come_while_an_asynchronous_source_waits(redis_url: str) -> None:
    async def source() -> AsyncIterator[str]:
        yield "first"
        await asyncio.sleep(0.6)
        yield "second"

    async def steps() -> None:
        async with AsyncClient(redis_url, Q) as client:
            started = time.monotonic()
            times = [time.monotonic() - started async for _ in client.stream(source())]
            assert len(times) == 2
            assert times[0] < 0.4

    with FakeWorker(redis_url, Q, same):
        run(steps())


def test_an_endless_asynchronous_source_is_pulled_no_further_than_the_window(redis_url: str) -> None:
    pulled = 0

    async def source() -> AsyncIterator[str]:
        nonlocal pulled
        for i in itertools.count():
            pulled = i + 1
            yield f"w{i}"

    async def steps() -> None:
        async with AsyncClient(redis_url, Q) as client:
            stream = client.stream(source(), window=30)
            got = [(await anext(stream)).label for _ in range(200)]
            await stream.aclose()
            assert got == [f"w{i}" for i in range(200)]
            assert pulled <= 200 + 2 * 30  # the window, and as many pulled ahead of it

    with FakeWorker(redis_url, Q, same):
        run(steps())


def test_what_an_asynchronous_source_raises_comes_out(redis_url: str) -> None:
    async def source() -> AsyncIterator[str]:
        yield "a"
        raise LookupError("no more")

    async def steps() -> None:
        async with AsyncClient(redis_url, Q) as client:
            with pytest.raises(LookupError):
                async for _ in client.stream(source()):
                    pass

    with FakeWorker(redis_url, Q, same):
        run(steps())


def test_errors_are_those_of_the_blocking_client(redis_url: str, redis: Any) -> None:
    async def steps() -> None:
        async with AsyncClient(queue=Q, settings=Settings(redis_url=redis_url, requests_limit=5)) as client:
            with pytest.raises(ResultTimeoutError):
                await client.classify("x", timeout=0.2)
            await client.submit(["x"] * 4)
            with pytest.raises(QueueFullError):
                await client.submit(["x"])

    run(steps())
    assert redis.xlen(keys.requests(Q)) == 5


def test_cancelling_results_hands_back_what_was_not_given(redis_url: str, redis: Any) -> None:
    async def steps() -> None:
        async with AsyncClient(redis_url, Q) as client:
            ids = await client.submit(["a", "b", "c"])
            while redis.xlen(keys.results(Q)) < 3:
                await asyncio.sleep(0.01)
            iteration = client.results()
            first = await anext(iteration)
            await iteration.aclose()
            assert first.id == ids[0]
            again = [result.id async for result in client.results(timeout=0.2)]
            assert sorted(again) == sorted(ids)

    with FakeWorker(redis_url, Q, same):
        run(steps())

"""The blocking client against a real Redis; labels come from the fake worker that users get, too."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from sortgate import Client, keys
from sortgate.errors import (
    ConfigurationError,
    MessageError,
    QueueFullError,
    ResultError,
    ResultTimeoutError,
)
from sortgate.settings import Settings
from sortgate.testing import FakeWorker

Q = "q"


def first_word(text: str) -> str:
    if text == "crash":
        raise RuntimeError("told to")
    return text.split()[0]


def settings(url: str, **values: Any) -> Settings:
    return Settings(redis_url=url, **values)


# -- submit ------------------------------------------------------------------------------------------------------------


def test_submitted_texts_are_requests_of_wire_format_1(redis_url: str, redis: Any) -> None:
    with Client(redis_url, Q, producer="shop") as client:
        ids = client.submit(["一二三", "b"], meta=["m1", "m2"], model="v9", priority="high", deadline_s=5)
    entries = redis.xrange(keys.requests(Q, "high"))
    now_ms = redis.time()[0] * 1000
    assert [fields.pop("id") for _, fields in entries] == ids
    for _, fields in entries:
        assert abs(int(fields.pop("deadline")) - now_ms - 5000) < 2000
    common = {"v": "1", "model": "v9", "producer": "shop"}
    assert [fields for _, fields in entries] == [
        {**common, "text": "一二三", "meta": "m1"},
        {**common, "text": "b", "meta": "m2"},
    ]


def test_ids_are_unique_and_own_ids_are_kept(redis_url: str, redis: Any) -> None:
    with Client(redis_url, Q) as client:
        ids = client.submit(f"text {i}" for i in range(1200))
        assert len(set(ids)) == 1200
        assert client.submit(["a", "b"], ids=["one", "two"]) == ["one", "two"]
        assert client.submit([]) == []
    assert redis.xlen(keys.requests(Q)) == 1202


@pytest.mark.parametrize(
    ("texts", "options", "code", "says"),
    [
        (["ok", "\ud800"], {}, "not_utf8", "text 1: holds a lone surrogate"),
        (["ok", 7], {}, "bad_field", "text 1: a text must be a str, not int"),
        (["ok", "é" * 40_000], {}, "text_too_long", "text 1: 80,000 bytes, the limit is 65,536"),
        ("one text", {}, "bad_field", "give a list of texts"),
        (["a", "b"], {"ids": ["x", "x"]}, "bad_field", "same id"),
        (["a", "b"], {"ids": ["x"]}, "bad_field", "1 ids for 2 texts"),
        (["a"], {"ids": [""]}, "bad_field", "id of text 0 has 0 bytes"),
        (["a"], {"ids": ["\udc00"]}, "not_utf8", "id of text 0 holds a lone surrogate"),
        (["a"], {"meta": "m" * 20_000}, "bad_field", "meta has 20,000 bytes"),
        (["a"], {"deadline_s": 0}, "bad_field", "deadline_s"),
        (["a"], {"deadline_s": float("nan")}, "bad_field", "deadline_s"),
        (["a"], {"deadline_s": 1e12}, "bad_field", "deadline_s"),
        (["a", "b", "c"], {"ids": ["1", "2", "1"]}, "bad_field", "texts 0 and 2 have the same id '1'"),
    ],
)
def test_nothing_is_sent_when_something_cannot_be(
    redis_url: str, redis: Any, texts: Any, options: dict[str, Any], code: str, says: str
) -> None:
    with Client(redis_url, Q) as client, pytest.raises(MessageError, match=says) as caught:
        client.submit(texts, **options)
    assert caught.value.code == code
    assert redis.keys() == []


def test_a_full_queue_refuses_a_chunk_whole_and_says_what_got_in(redis_url: str, redis: Any) -> None:
    with Client(queue=Q, settings=settings(redis_url, requests_limit=1200)) as client:
        ids = [f"id-{i}" for i in range(1400)]
        with pytest.raises(QueueFullError, match="holds 1,000 texts of at most 1,200") as caught:
            client.submit(["x"] * 1400, ids=ids)
    assert caught.value.submitted == ids[:1000]
    assert caught.value.unknown == []
    assert redis.xlen(keys.requests(Q)) == 1000


def test_large_texts_go_in_small_chunks(redis_url: str, redis: Any) -> None:
    with Client(redis_url, Q) as client:
        chunks = list(client._chunks(client._items(["x" * 65_000] * 40, None, None)))
        assert max(len(chunk) for chunk in chunks) == 15
        client.submit(["x" * 65_000] * 40)
    assert redis.xlen(keys.requests(Q)) == 40


@pytest.mark.parametrize("queue", ["", "A", "a b", "-a", "a" * 65])
def test_a_bad_queue_name_is_said_at_once(redis_url: str, queue: str) -> None:
    with pytest.raises(ConfigurationError, match="queue name"):
        Client(redis_url, queue)


def test_a_bad_priority_and_a_bad_url_are_said_at_once(redis_url: str) -> None:
    with pytest.raises(ConfigurationError, match="high, normal, low"):
        Client(redis_url, Q, priority="urgent")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="Redis URL") as caught:
        Client("http://:secret@here", Q)
    assert "secret" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="Redis URL") as caught:
        Client("redis://:secret@here:port", Q)
    assert "secret" not in str(caught.value)


# -- classify ----------------------------------------------------------------------------------------------------------


def test_classify_answers_one_text_or_a_list(redis_url: str, redis: Any) -> None:
    with FakeWorker(redis_url, Q, first_word), Client(redis_url, Q) as client:
        result = client.classify("hello world")
        assert (result.label, result.status, result.model, result.score) == ("hello", "ok", "fake/1", 1.0)
        assert [r.label for r in client.classify([f"w{i} x" for i in range(1100)])] == [f"w{i}" for i in range(1100)]
        assert client.classify([]) == []
    assert redis.xlen(keys.results(Q)) == 0
    assert redis.keys(keys.reply_prefix(Q) + "*") == []  # no reply stream stays behind


def test_classify_raises_for_a_failed_text_unless_told_not_to(redis_url: str) -> None:
    with FakeWorker(redis_url, Q, first_word), Client(redis_url, Q) as client:
        with pytest.raises(ResultError, match="component_failed") as caught:
            client.classify("crash")
        assert (caught.value.status, caught.value.code) == ("error", "component_failed")
        results = client.classify(["a", "crash", "c"], raise_errors=False)
        assert [r.status for r in results] == ["ok", "error", "ok"]
        with pytest.raises(ResultError, match="text 1"):
            client.classify(["a", "crash", "c"])
        with pytest.raises(MessageError):
            client.classify("\ud800")


def test_classify_gives_up_in_time_and_the_worker_drops_what_nobody_waits_for(redis_url: str, redis: Any) -> None:
    with Client(redis_url, Q) as client:
        started = time.monotonic()
        with pytest.raises(ResultTimeoutError, match=r"no result for 1 of 1 texts within 0\.3 s"):
            client.classify("hello", timeout=0.3)
        assert time.monotonic() - started < 1.0
        (reply,) = redis.keys(keys.reply_prefix(Q) + "*")
        assert 3_500_000 < redis.pttl(reply) <= 3_600_000
        called = []
        with FakeWorker(redis_url, Q, lambda text: called.append(text) or "x"):  # type: ignore[func-returns-value]
            while redis.xlen(keys.requests(Q)):
                time.sleep(0.01)
        assert called == []
        assert redis.xrange(reply)[0][1]["status"] == "expired"


def test_threads_may_share_a_client(redis_url: str) -> None:
    wrong: list[str] = []

    def ask(client: Client, name: str) -> None:
        for i in range(30):
            label = client.classify(f"{name}-{i} x").label
            if label != f"{name}-{i}":
                wrong.append(f"{name}-{i}: {label}")

    with FakeWorker(redis_url, Q, first_word), Client(redis_url, Q) as client:
        threads = [threading.Thread(target=ask, args=(client, f"t{n}")) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


# -- stream ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ordered", [True, False])
def test_stream_answers_every_text_once(redis_url: str, ordered: bool) -> None:
    texts = [f"w{i} rest" for i in range(2500)]
    with FakeWorker(redis_url, Q, first_word), Client(redis_url, Q) as client:
        results = list(client.stream(iter(texts), window=300, ordered=ordered))
    positions = [result.index for result in results]
    assert (positions if ordered else sorted(positions)) == list(range(2500))  # type: ignore[type-var]
    assert all(result.label == f"w{result.index}" for result in results)


def test_stream_keeps_to_its_window_on_an_endless_source(redis_url: str) -> None:
    pulled = itertools.count()
    source = (f"w{next(pulled)}" for _ in itertools.count())
    with FakeWorker(redis_url, Q, first_word), Client(redis_url, Q) as client:
        results = client.stream(source, window=50)
        taken = [next(results) for _ in range(500)]
        ahead = next(pulled) - len(taken)
        results.close()
    assert [result.label for result in taken] == [f"w{i}" for i in range(500)]
    assert ahead <= 50


def test_stream_holds_back_later_results_only_as_far_as_the_window(redis_url: str) -> None:
    release = threading.Event()

    def label(text: str) -> str:
        if text == "slow":
            release.wait(10)
        return text

    pulled: list[str] = []

    def source() -> Any:
        for text in ["slow", *map(str, range(100))]:
            pulled.append(text)
            yield text

    with (
        FakeWorker(redis_url, Q, label, batch=1),
        FakeWorker(redis_url, Q, label, batch=1),
        Client(redis_url, Q) as client,
    ):
        threading.Timer(0.5, lambda: (held.append(len(pulled)), release.set())).start()
        held: list[int] = []
        labels = [result.label for result in client.stream(source(), window=20, ordered=True)]
    assert labels == ["slow", *map(str, range(100))]
    assert held == [20]


def test_stream_answers_texts_that_cannot_be_sent_itself(redis_url: str) -> None:
    texts: Any = ["a", "\ud800", None, "x" * 70_000, "e"]
    with FakeWorker(redis_url, Q, lambda text: text), Client(redis_url, Q) as client:
        results = list(client.stream(texts))
    assert [result.code for result in results] == [None, "not_utf8", "bad_field", "text_too_long", None]
    assert [result.status for result in results] == ["ok", "rejected", "rejected", "rejected", "ok"]


def test_stream_waits_for_a_full_queue(redis_url: str) -> None:
    with Client(queue=Q, settings=settings(redis_url, requests_limit=10)) as client:
        client.submit(["w"] * 10)
        worker = FakeWorker(redis_url, Q, first_word)
        threading.Timer(0.3, worker.__enter__).start()
        results = list(client.stream([f"w{i}" for i in range(40)], window=40))
        worker.__exit__(None, None, None)
    assert [result.label for result in results] == [f"w{i}" for i in range(40)]


def test_stream_without_a_worker_says_so(redis_url: str) -> None:
    with Client(redis_url, Q) as client, pytest.raises(ResultTimeoutError, match="is a worker serving queue 'q'"):
        list(client.stream(["a", "b"], timeout=0.3))


def test_stream_sends_what_it_has_when_its_source_is_slow(redis_url: str) -> None:
    def source() -> Any:
        for i in range(3):
            yield f"w{i}"
            time.sleep(0.2)

    with FakeWorker(redis_url, Q, first_word), Client(redis_url, Q) as client:
        started = time.monotonic()
        results = client.stream(source())
        next(results)
        assert time.monotonic() - started < 0.5
        assert len(list(results)) == 2


def test_what_the_source_raises_comes_out(redis_url: str) -> None:
    def source() -> Any:
        yield "a"
        raise LookupError("no more")

    with FakeWorker(redis_url, Q, first_word), Client(redis_url, Q) as client, pytest.raises(LookupError):
        list(client.stream(source()))


@pytest.mark.parametrize("window", [0, 100_001])
def test_a_window_outside_the_bounds_is_refused(redis_url: str, window: int) -> None:
    with Client(redis_url, Q) as client, pytest.raises(ConfigurationError, match="window"):
        list(client.stream(["a"], window=window))


# -- imports -----------------------------------------------------------------------------------------------------------


def test_the_client_loads_nothing_but_redis_and_msgspec() -> None:
    code = (
        "import sys; from sortgate import Client, AsyncClient; print(sorted("
        "{'celery', 'kombu', 'numpy', 'onnxruntime', 'click', 'rich', 'pluggy', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

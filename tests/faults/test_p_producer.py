"""P: producers that do not hear the answer, are killed, flood with poison, or send what is no request."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from faultrun import FAST, FaultRun, seeds, texts
from poison import POISON_PLUGIN, with_plugin
from sortgate import Client, keys
from sortgate.errors import BrokerError
from sortgate.faults import ChaosProxy, Trigger
from sortgate.settings import Settings
from waiting import wait_for

pytestmark = pytest.mark.slow
StartWorker = Callable[..., Any]
MakeBundle = Callable[..., Path]

#: How enqueue.lua's reply begins: two integers.
ENQUEUED = b"*2\r\n:"


def test_p1_a_submit_whose_reply_is_lost_is_repeated_and_answered_once(
    start_worker: StartWorker, run: FaultRun, proxy: ChaosProxy
) -> None:
    """One lost reply is made good by the client; the journal knows."""
    settings = Settings(redis_url=proxy.url, socket_timeout_s=2.0)
    with Client(queue="toy", settings=settings, journal=run.journal) as client:
        for _ in range(20):
            trigger = proxy.down.trigger = Trigger(ENQUEUED)
            client.submit(texts(5))
            assert trigger.fired
    assert run.redis.xlen(keys.requests("toy")) == 200, "every chunk arrived twice"
    start_worker(**FAST)
    counts = run.check()
    assert (counts.acknowledged, counts.ok) == (100, 100)
    assert run.counter("duplicates") == 100


def test_p1_an_outcome_that_stays_unknown_is_recovered(
    start_worker: StartWorker, run: FaultRun, redis_url: str, proxy: ChaosProxy
) -> None:
    """Redis has the texts, and both attempts go unanswered: submitting again with the same ids is safe."""
    settings = Settings(redis_url=proxy.url, socket_timeout_s=0.5)
    ids = [f"order-{number}" for number in range(10)]
    with Client(queue="toy", settings=settings, journal=run.journal) as client:
        client.submit(texts(1), ids=["the first"])
        proxy.down.held = True
        with pytest.raises(BrokerError) as caught:
            client.submit(texts(10), ids=ids)
        assert caught.value.unknown == ids
    with Client(redis_url, "toy") as without_journal:
        without_journal.submit(texts(10), ids=ids)
    start_worker(**FAST)
    counts = run.check()
    assert (counts.attempted, counts.acknowledged, counts.ok, counts.recovered) == (11, 1, 11, 10)


@seeds()
def test_p2_what_a_killed_producer_had_enqueued_is_answered(
    start_worker: StartWorker, run: FaultRun, chance: random.Random, tmp_path: Path
) -> None:
    start_worker(concurrency=2, **FAST)
    source = tmp_path / "texts.txt"
    source.write_text("\n".join(texts(200_000)))
    command = [
        sys.executable, "-m", "sortgate", "submit", str(source), "--queue", "toy", "--redis-url", run.url,
        "--journal", str(run.journal_path),
    ]  # fmt: skip
    for _ in range(4):
        before = run.journal_path.stat().st_size
        producer = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_for(lambda before=before: run.journal_path.stat().st_size > before, what="it submits")
        time.sleep(chance.uniform(0.0, 0.3))
        producer.kill()
        assert producer.wait() == -signal.SIGKILL, "it was not done yet"
    counts = run.check()
    assert counts.acknowledged > 0


@pytest.mark.parametrize(
    ("poison", "status", "count", "behind", "processes_lost"),
    [
        ("raises", "error", 5000, False, 0),
        # both processes may have a batch when the first is lost; after that only copies die
        ("killme", "dead", 2000, False, 2),
        # and both may lose one more before it is known that the text path is not where it happens
        ("killme", "dead", 200, True, 4),
    ],
    ids=["raises", "kills", "kills-behind-the-model"],
)
@seeds()
def test_p3_ten_per_cent_poison_leaves_the_rest_alone(
    start_worker: StartWorker, make_bundle: MakeBundle, run: FaultRun, tmp_path: Path, chance: random.Random,
    poison: str, status: str, count: int, behind: bool, processes_lost: int,
) -> None:  # fmt: skip
    serving = with_plugin(make_bundle, tmp_path, POISON_PLUGIN, behind=behind)
    worker = start_worker(concurrency=2, SORTGATE_BATCH_TEXTS="64", **serving, **FAST)
    batch = texts(count)
    poisoned = set(chance.sample(range(count), count // 10))
    for position in poisoned:
        batch[position] = f"{poison} and more"
    ids = run.submit(batch)
    run.check(timeout_s=150)
    assert {i for i, ident in enumerate(ids) if run.results[ident].status != "ok"} == poisoned
    assert {run.results[ids[position]].status for position in poisoned} == {status}
    assert worker.process.poll() is None
    lost = worker.output().count(" exited with 'signal 9")
    assert min(1, processes_lost) <= lost <= processes_lost


MALFORMED: dict[str, tuple[dict[str | bytes, str | bytes], str]] = {
    "no field but one": ({"hello": "world"}, "bad_version"),
    "no version": ({"text": "hello"}, "bad_version"),
    "another version": ({"v": "2", "text": "hello"}, "bad_version"),
    "no text": ({"v": "1"}, "no_text"),
    "10 MB": ({"v": "1", "text": "x" * 10_000_000}, "text_too_long"),
    "10 MB of meta": ({"v": "1", "text": "hello", "meta": "x" * 10_000_000}, "bad_field"),
    "no UTF-8": ({"v": "1", "text": b"\xff\xfe"}, "not_utf8"),
    "a lone surrogate": ({"v": "1", "text": b"hello \xed\xa0\x80"}, "not_utf8"),
    "a field's name is no UTF-8": ({"v": "1", "text": "hello", b"\xff": "x"}, "ok"),
    "grows 18 times": ({"v": "1", "text": "\ufdfa" * 20_000}, "text_too_long"),
    "empty": ({"v": "1", "text": ""}, "empty_text"),
    "spaces only": ({"v": "1", "text": " \t\u3000"}, "empty_text"),
    "zero-width only": ({"v": "1", "text": "\u200b\u200d\ufeff"}, "empty_text"),
    "bad deadline": ({"v": "1", "text": "hello", "deadline": "soon"}, "bad_field"),
    "deadline long past": ({"v": "1", "text": "hello", "deadline": "1"}, "deadline"),
    "a reply elsewhere": ({"v": "1", "text": "hello", "reply": "somebody-elses-key"}, "bad_reply"),
    "a pickle": ({"v": "1", "text": b"\x80\x04cos\nsystem\n(S'true'\ntR."}, "not_utf8"),
    "nothing wrong": ({"v": "1", "text": "hello"}, "ok"),
}


def test_p4_what_is_no_request_gets_a_typed_answer(start_worker: StartWorker, run: FaultRun) -> None:
    worker = start_worker(**FAST)
    children = set(worker.children)
    kinds: dict[str, str] = {}
    for kind, (fields, _) in MALFORMED.items():
        entry = run.redis.xadd(keys.requests("toy"), fields)  # type: ignore[arg-type]
        run.journal.write("ok", [str(entry)], "toy")
        kinds[str(entry)] = kind
    run.check()
    answers = {kinds[ident]: result.code or result.status for ident, result in run.results.items()}
    assert answers == {kind: expected for kind, (_, expected) in MALFORMED.items()}
    assert worker.process.poll() is None
    assert set(worker.children) == children
    assert "hello" not in worker.output()


def test_p5_of_two_texts_with_one_id_the_first_wins(start_worker: StartWorker, run: FaultRun) -> None:
    run.redis.xadd(keys.requests("toy"), {"v": "1", "id": "one", "text": "hello", "meta": "first"})
    run.redis.xadd(keys.requests("toy"), {"v": "1", "id": "one", "text": "please help", "meta": "second"})
    run.journal.write("ok", ["one"], "toy")
    start_worker(**FAST)
    run.check()
    assert run.results["one"].meta == "first"
    assert run.counter("duplicates") == 1

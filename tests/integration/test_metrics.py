"""Metrics and probes of real workers on a real Redis: under work, wedged, and with Redis away."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis as redis_py

from scraping import Scrape, free_port, page, probe, scrape
from sortgate import Classifier, Client, keys
from sortgate.embedded import EmbeddedRedis
from sortgate.encoded import Encoded
from sortgate.types import PRIORITIES
from sortgate.worker.figures import STATUSES
from waiting import wait_for

StartWorker = Callable[..., Any]
TEXTS = [f"confidential hello world number {i} please {'help ' * (i % 17)}" for i in range(400)]
FAST = {"SORTGATE_LEASE_S": "1.5", "SORTGATE_SWEEP_S": "0.5"}


SLOW_PLUGIN = """
import os, time
from sortgate import hookimpl

def slow(text):
    if "slow" in text: time.sleep(1)
    return text

def load():
    gate = os.environ.get("TEST_GATE")
    while gate and not os.path.exists(gate): time.sleep(0.05)
    return slow

@hookimpl
def sortgate_register_normalizers(register):
    register("test.slow.v1", load)
"""


@pytest.fixture
def slow_models(make_bundle: Callable[..., Path], tmp_path: Path) -> dict[str, Any]:
    """A bundle ``toy`` for which "slow" takes a second, and which loads only once ``TEST_GATE`` is there."""
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "slow.py").write_text(SLOW_PLUGIN)
    make_bundle(tmp_path / "models" / "toy", normalizers=["test.slow.v1"], plugins_dir=plugins)
    return {"models": tmp_path / "models", "SORTGATE_PLUGINS_DIR": str(plugins)}


@pytest.fixture
def start_ready(start_worker: StartWorker) -> StartWorker:
    """Start a worker with this metrics port and wait until it says that it is ready."""

    def start(port: int, **options: Any) -> Any:
        worker = start_worker(SORTGATE_METRICS_PORT=str(port), **options)
        wait_for(lambda: probe(port, "/readyz")[0] == 200)
        return worker

    return start


def balance(sample: Scrape, queue: str = "toy") -> tuple[float, float]:
    """Texts taken in hand, and where they went."""
    gone = sum(sample["sortgate_answered_total"][f"{queue},{status}"] for status in STATUSES)
    for name in ("duplicates_suppressed", "stale_answers_dropped", "resent_answers_dropped", "released"):
        gone += sample[f"sortgate_{name}_total"][queue]
    return sample["sortgate_accepted_total"][queue], gone + sample["sortgate_in_flight"][queue]


def test_numbers_add_up_at_every_scrape_under_work(
    start_ready: StartWorker, redis_url: str, redis: redis_py.Redis, toy_bundle: Path
) -> None:
    port = free_port()
    start_ready(port, concurrency=2, SORTGATE_BATCH_TEXTS="32", SORTGATE_COALESCE="0")
    with Client(redis_url, queue="toy") as client:
        ids = client.submit(TEXTS * 20)
        ids += client.submit(["   ", "\u200b"])  # nothing is left of them: status error
        client.submit(["of an id that is known"] * 3, ids=ids[:3])
        redis.xadd(keys.requests("toy", "high"), {"v": "1", "text": "too late", "deadline": "1"})
        redis.xadd(keys.requests("toy", "low"), {"v": "2", "text": "of another version"})
        accepted = len(ids) + 3 + 2
        seen = []

        def done() -> bool:
            sample = scrape(port)
            taken, gone = balance(sample)
            assert taken == gone
            seen.append(sample["sortgate_in_flight"]["toy"])
            return taken == accepted and sample["sortgate_in_flight"]["toy"] == 0

        wait_for(done)
        assert max(seen) > 0, "it was scraped while there was work"
        time.sleep(2.5)  # the queue's own figures come every two seconds
        sample = scrape(port)

    expected = {"ok": len(ids) - 2, "error": 2, "dead": 0, "rejected": 1, "expired": 1}
    for status, texts in expected.items():
        assert sample["sortgate_answered_total"][f"toy,{status}"] == texts
        assert sample["sortgate_queue_answered_total"][f"toy,{status}"] == texts
    assert sample["sortgate_duplicates_suppressed_total"]["toy"] == 3
    assert sample["sortgate_queue_events_total"]["duplicates,toy"] == 3
    assert sample["sortgate_queue_results"]["toy"] == redis.xlen(keys.results("toy")) == len(ids) + 2
    assert sample["sortgate_queue_dead_letters"]["toy"] == 2
    assert {sample["sortgate_queue_backlog"][f"{priority},toy"] for priority in PRIORITIES} == {0}
    assert sample["sortgate_queue_lag_seconds"]["toy"] == sample["sortgate_queue_pending"]["toy"] == 0

    # the batching metrics, against the classifier itself
    classifier = Classifier.load(toy_bundle)
    tokens = sum(len(item) for item in classifier.text_path.encode(TEXTS) if isinstance(item, Encoded))
    assert sample["sortgate_batch_tokens_sum"]["toy"] == pytest.approx(20 * tokens, rel=0.001)
    assert sample["sortgate_batch_texts_sum"]["toy"] == sample["sortgate_wait_seconds_count"]["toy"] == accepted
    batches = sample["sortgate_batch_texts_count"]["toy"]
    assert accepted / 32 <= batches < accepted
    assert sample["sortgate_commit_seconds_count"]["toy"] == sample["sortgate_model_seconds_count"]["toy"] == batches
    assert 0 < sample["sortgate_model_seconds_sum"]["toy"] < sample["sortgate_batch_seconds_sum"]["toy"]
    assert sample["sortgate_padding_tokens_total"]["toy"] > 0
    assert sample["sortgate_shared_texts_total"]["toy"] == 0
    assert sample["sortgate_wait_seconds_sum"]["toy"] > 0
    assert sample["sortgate_pool_processes"] == {"": 2}
    assert list(sample["sortgate_bundle_info"]) == [f"{classifier.fingerprint},{classifier.model_name},toy"]
    assert "confidential" not in page(port, "/metrics")[1] + page(port, "/healthz")[1]


def test_texts_that_are_the_same_to_the_model_go_through_it_once(
    start_ready: StartWorker, redis_url: str, toy_classifier: Classifier
) -> None:
    port = free_port()
    start_ready(port, SORTGATE_CACHE_TEXTS="1000")
    texts = ["hello world", "please help", "HELLO  world", "", "hello world"] * 50
    with Client(redis_url, queue="toy") as client:
        once = list(client.stream(texts))
        again = list(client.stream(texts))
    expected = {text: prediction.label for text, prediction in zip(texts, toy_classifier(texts), strict=True)}
    assert [answer.label for answer in once] == [answer.label for answer in again] == [expected[text] for text in texts]
    assert [answer.status for answer in once] == ["ok", "ok", "ok", "error", "ok"] * 50
    wait_for(lambda: scrape(port)["sortgate_answered_total"]["toy,ok"] == 400)
    sample = scrape(port)
    assert sample["sortgate_shared_texts_total"]["toy"] == 2 * 200 - 2, "all that had tokens, but for the first of each"
    tokens = sum(len(item) for item in toy_classifier.text_path.encode(texts[:2]) if isinstance(item, Encoded))
    assert sample["sortgate_batch_tokens_sum"]["toy"] == tokens


def test_not_ready_before_a_process_has_loaded_its_bundles_and_no_more_once_it_stops(
    start_worker: StartWorker, slow_models: dict[str, Any], tmp_path: Path, redis_url: str
) -> None:
    port, gate = free_port(), tmp_path / "gate"
    worker = start_worker(**slow_models, ready=False, SORTGATE_METRICS_PORT=str(port), TEST_GATE=str(gate))
    wait_for(lambda: probe(port, "/readyz") == (503, {
        "status": "unavailable", "reason": "no pool process has loaded its bundles yet"
    }))  # fmt: skip
    assert probe(port, "/healthz")[0] == 200
    assert scrape(port)["sortgate_ready"] == {"": 0}
    gate.touch()
    wait_for(lambda: probe(port, "/readyz")[0] == 200)
    assert scrape(port)["sortgate_ready"] == {"": 1}
    with Client(redis_url, queue="toy") as client:
        client.submit(["slow"])
        wait_for(lambda: scrape(port)["sortgate_pool_busy"] == {"": 1})
        os.kill(worker.pid, signal.SIGTERM)
        wait_for(lambda: probe(port, "/readyz")[1]["reason"] == "the worker is stopping")
        assert worker.process.wait(30) == 0
        assert client.results(max=1, timeout=5).__next__().status == "ok"
    assert probe(port, "/readyz")[0] == 0


def test_a_stopped_pool_process_with_work_in_hand_is_ill_and_well_again(
    start_ready: StartWorker, redis_url: str
) -> None:
    port = free_port()
    worker = start_ready(port, SORTGATE_HEALTH_TIMEOUT_S="1.5", **FAST)
    time.sleep(2.5)
    assert probe(port, "/healthz")[0] == 200, "an empty queue is no standstill, however long"
    [child] = worker.children
    os.kill(child, signal.SIGSTOP)
    try:
        time.sleep(2.5)
        assert probe(port, "/healthz")[0] == 200, "nor is a stopped process that has nothing to do"
        with Client(redis_url, queue="toy") as client:
            ids = client.submit(TEXTS)
            wait_for(lambda: probe(port, "/healthz")[0] == 503)
            status, about = probe(port, "/healthz")
            assert status == 503
            assert "queue toy: 400 texts in hand, 0 unread, and none completed for" in about["reason"]
            assert "confidential" not in str(about)
            assert scrape(port)["sortgate_healthy"] == {"": 0}
            os.kill(child, signal.SIGCONT)
            wait_for(lambda: probe(port, "/healthz")[0] == 200)
            assert len(list(client.results(max=len(ids), timeout=30))) == len(ids)
            assert probe(port, "/healthz")[1]["queues"]["toy"]["in_flight"] == 0
    finally:
        os.kill(child, signal.SIGCONT)


@pytest.mark.slow
def test_work_that_goes_on_slowly_is_well(
    start_ready: StartWorker, slow_models: dict[str, Any], redis: redis_py.Redis, redis_url: str
) -> None:
    port = free_port()
    env = {"SORTGATE_HEALTH_TIMEOUT_S": "4", "SORTGATE_BATCH_TEXTS": "1"}
    start_ready(port, **slow_models, **env, **FAST)
    with Client(redis_url, queue="toy") as client:
        ids = client.submit(["slow"] * 8)
        while redis.xlen(keys.results("toy")) < len(ids):
            assert probe(port, "/healthz")[0] == 200
            time.sleep(0.2)


def test_a_silent_redis_is_ill_and_scrapes_do_not_wait_for_it(start_worker: StartWorker) -> None:
    port = free_port()
    with EmbeddedRedis() as server:
        start_worker(
            url=server.url, SORTGATE_METRICS_PORT=str(port), SORTGATE_HEALTH_TIMEOUT_S="3",
            SORTGATE_SOCKET_TIMEOUT_S="1", **FAST,
        )  # fmt: skip
        wait_for(lambda: probe(port, "/readyz")[0] == 200)
        assert server.process is not None
        server.process.send_signal(signal.SIGSTOP)
        try:
            slowest = 0.0
            ends = time.monotonic() + 60.0
            while probe(port, "/healthz")[0] != 503:
                started = time.monotonic()
                scrape(port)
                slowest = max(slowest, time.monotonic() - started)
                assert time.monotonic() < ends
                time.sleep(0.05)
            assert slowest < 1.0
            reason = probe(port, "/healthz")[1]["reason"]
            assert "Redis has been silent" in reason or "broker has been away" in reason or "not turned" in reason
            wait_for(lambda: probe(port, "/readyz")[0] == 503)
        finally:
            server.process.send_signal(signal.SIGCONT)
        wait_for(lambda: probe(port, "/healthz")[0] == 200 and probe(port, "/readyz")[0] == 200)
        with Client(server.url, queue="toy") as client:
            assert client.classify("hello", timeout=20).status == "ok"


def test_a_killed_worker_s_texts_are_reclaimed_redelivered_and_answered_once(
    start_ready: StartWorker, redis_url: str, redis: redis_py.Redis
) -> None:
    ports = free_port(), free_port()
    first = start_ready(ports[0], **FAST)
    [child] = first.children
    os.kill(child, signal.SIGSTOP)
    with Client(redis_url, queue="toy") as client:
        client.submit(TEXTS)
        wait_for(lambda: scrape(ports[0])["sortgate_in_flight"]["toy"] == len(TEXTS))
        first.kill()
        start_ready(ports[1], **FAST)
        wait_for(lambda: redis.xlen(keys.results("toy")) == len(TEXTS))
        wait_for(lambda: scrape(ports[1])["sortgate_answered_total"]["toy,ok"] == len(TEXTS))
        sample = scrape(ports[1])
    for name in ("accepted", "reclaimed", "redelivered"):
        assert sample[f"sortgate_{name}_total"]["toy"] == len(TEXTS)
    assert balance(sample) == (len(TEXTS), len(TEXTS))


def test_a_lost_pool_process_counts_as_a_failed_batch_whose_texts_are_tried_again(
    start_ready: StartWorker, slow_models: dict[str, Any], redis_url: str
) -> None:
    port = free_port()
    worker = start_ready(port, **slow_models, **FAST)
    with Client(redis_url, queue="toy") as client:
        ids = client.submit([*TEXTS[:99], "slow"])
        wait_for(lambda: scrape(port)["sortgate_pool_busy"] == {"": 1})
        time.sleep(0.5)
        [child] = worker.children
        os.kill(child, signal.SIGKILL)
        assert len(list(client.results(max=len(ids), timeout=60))) == len(ids)
        wait_for(lambda: scrape(port)["sortgate_answered_total"]["toy,ok"] == len(ids))
        sample = scrape(port)
    assert sample["sortgate_failed_batches_total"]["worker_lost,toy"] == 1
    assert 0 < sample["sortgate_retried_total"]["toy"] <= 100
    assert balance(sample) == (100, 100)


def test_a_port_in_use_is_one_line_and_status_78(start_worker: StartWorker) -> None:
    port = free_port()
    first = start_worker(SORTGATE_METRICS_PORT=str(port))
    second = start_worker(ready=False, SORTGATE_METRICS_PORT=str(port))
    assert second.process.wait(30) == 78
    [line] = second.output().strip().splitlines()
    assert line.startswith(
        f"sortgate: error: metrics port {port} on 127.0.0.1 cannot be opened: Address already in use"
    )
    wait_for(lambda: probe(port, "/readyz")[0] == 200)
    first.kill()
    third = start_worker(SORTGATE_METRICS_PORT=str(port))
    assert third.process.poll() is None


def test_off_unless_asked_for(start_worker: StartWorker) -> None:
    worker = start_worker(SORTGATE_METRICS_PORT="", SORTGATE_METRIC_PORT="9108")
    assert "SORTGATE_METRIC_PORT is no setting; did you mean SORTGATE_METRICS_PORT?" in worker.output()
    assert "LISTEN" not in {link.status for link in psutil.Process(worker.pid).net_connections("inet")}

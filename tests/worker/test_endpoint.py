"""The HTTP port by itself: pages, peers that misbehave, a port in use, and a fork that must not keep it."""

from __future__ import annotations

import json
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sortgate.errors import ConfigurationError
from sortgate.plugins.observers import Observers
from sortgate.settings import Settings
from sortgate.worker.endpoint import Endpoint
from sortgate.worker.figures import BatchFigures, QueueFigures, count_waits
from sortgate.worker.metrics import OWN, WHOLE, WORKER
from sortgate.worker.observing import WorkerObservers
from sortgate.worker.report import Monitor, QueueReport
from sortgate.worker.state import QueueState


@pytest.fixture
def monitor() -> Monitor:
    return Monitor(Settings(), processes=2)


@pytest.fixture
def endpoint(monitor: Monitor) -> Iterator[Endpoint]:
    endpoint = Endpoint("127.0.0.1", 0)
    endpoint.serve(monitor)
    yield endpoint
    endpoint.close()


def get(endpoint: Endpoint, path: str, method: str = "GET") -> tuple[int, str, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{endpoint.port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read().decode()


def report(figures: QueueFigures, in_flight: int = 0) -> QueueReport:
    state = QueueState({"high": 1, "normal": 2, "low": 3}, 4, 5.5, 6.5, 7, 8, {"ok": 90, "lost": 1})
    return QueueReport("q", True, False, False, "", in_flight, 1, figures, state, 0.0, 0.0)


def test_probes_say_why_not_in_one_line_of_json(endpoint: Endpoint, monitor: Monitor) -> None:
    status, kind, body = get(endpoint, "/readyz")
    assert (status, kind, body.count("\n")) == (503, "application/json", 1)
    assert json.loads(body) == {
        "status": "unavailable", "reason": "no pool process has loaded its bundles yet",
    }  # fmt: skip
    monitor.loaded([("q", "m/1", "f")])
    monitor.turned([report(QueueFigures())], 0)
    status, _, body = get(endpoint, "/readyz?verbose")
    assert (status, json.loads(body)["queues"]) == (200, {"q": "m/1"})
    status, _, body = get(endpoint, "/healthz")
    about = json.loads(body)
    assert (status, about["limit_s"], about["queues"]["q"]["unread"]) == (503, 60.0, 6), "silent since the epoch"


def test_every_metric_of_the_table_is_scraped_with_its_type_labels_and_help(
    endpoint: Endpoint, monitor: Monitor
) -> None:
    figures = QueueFigures()
    figures.answered(
        2, BatchFigures(10, 3, 0.01, 0.02, count_waits([5.0, 5.0]), 0.01, 0, [("a.b.v1", "a 1.0", 0.1, 2)])
    )
    observers = Observers()
    observers.failures["sortgate_batch_done", "file:a.py"] = 1
    monitor.observers = WorkerObservers(observers)
    monitor.loaded([("q", "m/1", "f")])
    monitor.turned([report(figures, in_flight=3)], 1)
    status, kind, body = get(endpoint, "/metrics")
    assert status == 200
    assert kind.startswith("text/plain; version=")
    families = {family.name: family for family in text_string_to_metric_families(body)}
    for metric in (*OWN, *WHOLE, *WORKER):
        family = families[metric.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (metric.kind, metric.text)
        assert family.samples, metric.name
        for sample in family.samples:
            assert sample.labels.keys() - {"le"} == set(metric.labels)
    values = {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families.values()
        for sample in family.samples
    }
    assert values["sortgate_in_flight", "q"] == 3
    assert values["sortgate_padding_tokens_total", "q"] == 3
    assert values["sortgate_queue_backlog", "low", "q"] == 3
    assert values["sortgate_queue_lag_seconds", "q"] == 5.5
    assert values["sortgate_queue_answered_total", "q", "ok"] == 90
    assert values["sortgate_queue_answered_total", "q", "dead"] == 0
    assert values["sortgate_bundle_info", "f", "m/1", "q"] == 1
    assert values["sortgate_wait_seconds_bucket", "0.001", "q"] == 0
    assert values["sortgate_wait_seconds_bucket", "0.005", "q"] == 2
    assert values["sortgate_wait_seconds_bucket", "+Inf", "q"] == values["sortgate_wait_seconds_count", "q"] == 2
    assert values["sortgate_batch_tokens_sum", "q"] == 10
    assert "process_resident_memory_bytes" in families


def test_what_redis_has_not_said_yet_is_not_made_up(endpoint: Endpoint, monitor: Monitor) -> None:
    monitor.turned([QueueReport("q", False, False, False, "", 0, 0, QueueFigures(), None, 0.0, 0.0)], 0)
    body = get(endpoint, "/metrics")[2]
    assert "sortgate_queue_lag_seconds{" not in body
    assert 'sortgate_in_flight{queue="q"} 0.0' in body


def test_other_paths_and_methods(endpoint: Endpoint) -> None:
    assert get(endpoint, "/")[0] == 404
    assert get(endpoint, "/metrics", "HEAD")[::2] == (200, "")
    assert get(endpoint, "/metrics", "POST")[0] == 501


def test_a_peer_that_says_nothing_or_nonsense_keeps_nobody_waiting(
    endpoint: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    address = ("127.0.0.1", endpoint.port)
    silent = [socket.create_connection(address) for _ in range(20)]
    with socket.create_connection(address) as rude:
        rude.sendall(b"\x00\xff\r\n\r\n" * 10)
    with socket.create_connection(address) as gone:
        gone.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    assert get(endpoint, "/metrics")[0] == 200
    for peer in silent:
        peer.close()
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


@pytest.mark.parametrize("host", ["127.0.0.1", "no.such.host.invalid"])
def test_an_address_that_cannot_be_opened_is_one_clear_line(endpoint: Endpoint, host: str) -> None:
    with pytest.raises(ConfigurationError, match=f"metrics port {endpoint.port} on {host} cannot be opened") as caught:
        Endpoint(host, endpoint.port)
    assert "--metrics-port" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 78


def test_a_forked_child_does_not_keep_the_port(monitor: Monitor) -> None:
    """A pool process may outlive a worker that was killed; its successor must get the port."""
    endpoint = Endpoint("127.0.0.1", 0)
    wait, release = os.pipe()
    told, tell = os.pipe()
    child = os.fork()
    if not child:  # pragma: no cover - no coverage in the child
        os.close(release)
        os.write(tell, b"1")
        os.read(wait, 1)
        os._exit(0)
    os.close(wait)
    os.read(told, 1)
    try:
        endpoint.close()
        again = Endpoint("127.0.0.1", endpoint.port)
        again.serve(monitor)
        assert get(again, "/metrics")[0] == 200
        again.close()
    finally:
        os.close(release)
        os.waitpid(child, 0)
        os.close(told)
        os.close(tell)


def test_off_by_default() -> None:
    assert Endpoint.from_settings(Settings()) is None

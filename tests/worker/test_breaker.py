"""A component that has broken on one machine is told from texts that it cannot take, and loses nobody's text."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scraping import free_port, page, probe
from sortgate import Client
from sortgate.errors import ComponentBrokenError
from sortgate.inference import Classifier
from sortgate.worker.breaker import check_components, try_golden

StartWorker = Callable[..., Any]

#: Fails on everything while the file stands there that the environment names, and on "bad" always.
PLUGIN = """
import os
from pathlib import Path
from sortgate import hookimpl

def check(text):
    if "bad" in text or Path(os.environ.get("BROKEN_HERE", "/nonexistent")).exists():
        raise FileNotFoundError("words.txt for: " + text)
    return text

@hookimpl
def sortgate_register_normalizers(register):
    register("test.plugin.v1", lambda: check)
"""


@pytest.fixture
def served(make_bundle: Callable[..., Path], tmp_path: Path) -> dict[str, Any]:
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "plugin.py").write_text(PLUGIN)
    for name in ("toy", "second"):
        normalizers = ["test.plugin.v1"] if name == "toy" else ["sortgate.lowercase.v1"]
        make_bundle(tmp_path / "models" / name, normalizers=normalizers, plugins_dir=plugins)
    return {"models": tmp_path / "models", "SORTGATE_PLUGINS_DIR": str(plugins), "SORTGATE_SWEEP_S": "0.3"}


def test_only_so_many_failures_in_a_row_have_the_golden_texts_tried(
    served: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SORTGATE_PLUGINS_DIR", served["SORTGATE_PLUGINS_DIR"])
    monkeypatch.setenv("BROKEN_HERE", str(tmp_path / "broken"))
    classifier = Classifier.load(served["models"] / "toy")
    (tmp_path / "broken").touch()
    classifier(["one", "two"])
    check_components(classifier, 3)
    classifier(["three"])
    check_components(classifier, 0)
    with pytest.raises(ComponentBrokenError, match=r"test\.plugin\.v1 failed: FileNotFoundError \(normalizer of file:"):
        check_components(classifier, 3)
    classifier(["four"])
    with pytest.raises(ComponentBrokenError):
        check_components(classifier, 3)  # still broken: not three more texts are spoilt
    (tmp_path / "broken").unlink()
    assert try_golden(classifier) is None
    classifier(["bad"] * 2)
    check_components(classifier, 3)  # counted anew
    classifier(["bad"] * 5)
    check_components(classifier, 3)  # the texts' doing


def test_a_worker_whose_component_broke_leaves_its_texts_to_others_and_says_so(
    start_worker: StartWorker, served: dict[str, Any], redis_url: str, tmp_path: Path
) -> None:
    broken, port = tmp_path / "broken", free_port()
    sick = start_worker("toy,second", **served, BROKEN_HERE=str(broken), SORTGATE_METRICS_PORT=str(port),
                        SORTGATE_BREAKER_FAILURES="5")  # fmt: skip
    with Client(redis_url, queue="toy") as client:
        assert client.classify("hello world", timeout=10).status == "ok"
        broken.touch()
        ids = client.submit([f"hello {i}" for i in range(200)])
        while probe(port, "/readyz")[0] == 200:
            time.sleep(0.05)
        status, said = probe(port, "/readyz")
        assert status == 503
        assert "queue toy: toy/" in said["reason"]
        assert "test.plugin.v1 failed: FileNotFoundError (normalizer of file:plugin.py" in said["reason"]
        assert probe(port, "/healthz")[0] == 200
        scraped = page(port, "/metrics")[1]
        assert 'sortgate_breaker_open{queue="toy"} 1.0' in scraped
        assert 'sortgate_breaker_open{queue="second"} 0.0' in scraped
        with Client(redis_url, queue="second") as other:
            assert other.classify("hello world", timeout=10).status == "ok"
        assert "a component is broken here" in sick.output()
        assert "words.txt" not in sick.output()

        start_worker("toy", **served)  # where the component works
        answered = {result.id: result for result in client.results(timeout=15, max=200)}
        assert answered.keys() == set(ids)
        # a batch below the bound may have been answered before it was clear that the component was at fault
        assert sum(result.status != "ok" for result in answered.values()) < 5

        broken.unlink()
        until = time.monotonic() + 15
        while probe(port, "/readyz")[0] != 200:
            assert time.monotonic() < until
            time.sleep(0.1)
        assert "the components work again" in sick.output()
        assert client.classify("hello again", timeout=10).status == "ok"


def test_texts_that_a_component_cannot_take_are_answered_and_hold_up_nobody(
    start_worker: StartWorker, served: dict[str, Any], redis_url: str
) -> None:
    port = free_port()
    worker = start_worker("toy", **served, SORTGATE_METRICS_PORT=str(port), SORTGATE_BREAKER_FAILURES="5")
    with Client(redis_url, queue="toy") as client:
        ids = client.submit(["bad text"] * 300)
        answers = {result.id: result for result in client.results(timeout=15, max=300)}
        assert answers.keys() == set(ids)
        assert {(result.status, result.code) for result in answers.values()} == {("error", "component_failed")}
        assert next(iter(answers.values())).message == (
            f"component test.plugin.v1 failed: FileNotFoundError (normalizer of file:plugin.py {_version(served)})"
        )
        assert client.classify("hello", timeout=10).status == "ok"
    assert "broken here" not in worker.output()
    failures = 'sortgate_component_failures_total{component="test.plugin.v1",plugin="file:plugin.py'
    until = time.monotonic() + 5
    while True:  # told once a turn of the event loop
        scraped = page(port, "/metrics")[1]
        if any(line.startswith(failures) and line.endswith(" 300.0") for line in scraped.splitlines()):
            break
        assert time.monotonic() < until, [line for line in scraped.splitlines() if "component_failures" in line]
        time.sleep(0.1)
    assert 'sortgate_component_seconds_total{component="test.plugin.v1",plugin="file:plugin.py' in scraped


def _version(served: dict[str, Any]) -> str:
    return hashlib.sha256((Path(served["SORTGATE_PLUGINS_DIR"]) / "plugin.py").read_bytes()).hexdigest()[:12]

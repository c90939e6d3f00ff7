"""The demo as a whole: its report, its exit status, and that it leaves nothing behind however it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from io import StringIO
from pathlib import Path

import msgspec
import psutil
import pytest
import redis as redis_py
from rich.console import Console

from sortgate.audit import QueueAudit
from sortgate.cli import run
from sortgate.demo.material import Material
from sortgate.demo.processes import Crew, DemoError
from sortgate.demo.report import Report, Sample, show_report
from sortgate.demo.run import serve
from waiting import wait_for

TEXTS = [f"hello world [bold]number[/] {i}" for i in range(700)]


@pytest.fixture
def material() -> Material:
    return Material(Path("data"), TEXTS, ["billing"] * len(TEXTS), generated=False)


def test_serves_streams_and_compares_with_the_classifier(
    material: Material, toy_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SORTGATE_REDIS_URL", raising=False)
    said = StringIO()
    report = serve(material, toy_bundle, 2, tmp_path, Console(file=said))
    assert report.passed
    assert report.identical == report.texts == report.queue.ok == len(TEXTS)
    assert len(report.by_worker) == 2
    assert len(report.samples) == 10
    assert 0 < report.p50_ms <= report.p99_ms
    assert "private" in said.getvalue()
    assert children() == []


def test_uses_the_redis_that_is_given_and_removes_its_keys(
    material: Material, toy_bundle: Path, tmp_path: Path, redis_url: str, redis: redis_py.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    redis.set("mine", "kept")
    monkeypatch.setenv("SORTGATE_REDIS_URL", redis_url)
    said = StringIO()
    assert serve(material, toy_bundle, 1, tmp_path, Console(file=said)).passed
    assert "SORTGATE_REDIS_URL" in said.getvalue()
    assert {key for key in redis.keys("*") if "demo" in key} == set()
    assert redis.get("mine") == "kept"


@pytest.mark.parametrize(
    ("url", "status", "says"), [("redis://127.0.0.1:1/0", 1, "Connection refused"), ("foo", 78, "is no Redis URL")]
)
def test_a_redis_that_cannot_be_used_is_one_line_before_anything_is_trained(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str, status: int, says: str
) -> None:
    monkeypatch.setenv("SORTGATE_REDIS_URL", url)
    assert run(["demo"]) == status
    told = capsys.readouterr()
    assert told.err.startswith("sortgate: error: ")
    assert told.err.count("\n") == 1
    assert says in told.err
    assert told.out == ""


def test_worker_that_cannot_start_is_named(tmp_path: Path, redis_url: str) -> None:
    with (
        Crew(redis_url, tmp_path / "absent", "demo", 1, tmp_path) as crew,
        pytest.raises(DemoError, match="queue 'demo'"),
    ):
        crew.wait_until(lambda: False)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_leaves_nothing_behind_when_stopped(tmp_path: Path, signum: int) -> None:
    """Stopped while it trains; the same path undoes Redis and workers."""
    env = {name: value for name, value in os.environ.items() if name != "SORTGATE_REDIS_URL"}
    demo = subprocess.Popen(
        [sys.executable, "-m", "sortgate", "demo", "--texts", "50"],
        env={**env, "TMPDIR": str(tmp_path)}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    below = wait_for(lambda: psutil.Process(demo.pid).children(recursive=True), 30.0)
    wait_for(lambda: list(tmp_path.glob("sortgate-demo-*")), 30.0)
    demo.send_signal(signum)
    _, said = demo.communicate(timeout=60)
    assert demo.returncode == 128 + signum
    assert "Traceback" not in said
    _, alive = psutil.wait_procs(below, timeout=5)  # what was told to end may take a moment
    assert alive == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_whole_demo_on_generated_texts(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name != "SORTGATE_REDIS_URL"}
    command = [
        sys.executable,
        "-m",
        "sortgate",
        "demo",
        "--texts",
        "3000",
        "--models",
        str(tmp_path / "models"),
        "--json",
    ]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=550)
    assert done.returncode == 0, done.stderr
    report = msgspec.convert(json.loads(done.stdout), Report)
    assert report.passed
    assert report.accuracy > 0.88
    assert report.macro_f1 > 0.88
    assert report.queue.ok == 3000
    assert "generated" in done.stderr
    assert list((tmp_path / "models/demo").glob("*/manifest.json")), "--models keeps the bundle"


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sortgate", "demo", "--data", str(tmp_path / "absent")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [f"sortgate: error: {tmp_path / 'absent'}: no such folder"]


def report_with(**changes: object) -> Report:
    audit = QueueAudit(attempted=2, acknowledged=2, ok=2, lost=0, unexpected=0, duplicated=0, recovered=0)
    report = Report(
        data="generated", texts=2, accuracy=0.5, macro_f1=0.4, texts_per_s=1234.5, first_label_s=1.0, train_s=2.0,
        p50_ms=3.0, p99_ms=4.0, loaded_p50_ms=5.0, loaded_p99_ms=6.0, queue=audit, by_worker=[1, 1], identical=2,
        samples=[Sample("[red]a\x1b[2Jb", "x", None, 0.25)],
    )  # fmt: skip
    return msgspec.structs.replace(report, **changes)


@pytest.mark.parametrize("field", ["lost", "duplicated", "unexpected"])
def test_fails_when_a_text_is_not_answered_exactly_once(field: str) -> None:
    assert report_with().passed
    assert not report_with(queue=msgspec.structs.replace(report_with().queue, **{field: 1})).passed


def test_fails_when_a_label_differs_from_the_classifier() -> None:
    assert report_with(identical=None).passed
    assert not report_with(identical=1).passed


def test_table_shows_every_figure_and_no_markup_of_the_texts() -> None:
    shown = StringIO()
    show_report(Console(file=shown, width=140), report_with())
    text = shown.getvalue()
    for expected in ("lost", "duplicated", "0.5000", "0.4000", "1,234 texts/s", "3.0 ms", "4.0 ms", "[red]a", "0.250"):
        assert expected in text
    assert "labels identical to `sortgate classify`: yes (2 of 2)" in text
    assert "\x1b[2J" not in text


def children() -> list[psutil.Process]:
    """Children of this process that the demo would have started, the session's own Redis left out."""
    found = psutil.Process().children()
    return [
        child for child in found if "sortgate" in " ".join(child.cmdline()) and "guard" not in " ".join(child.cmdline())
    ]

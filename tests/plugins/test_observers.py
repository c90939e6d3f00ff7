"""Hooks beside components: observers that can stop nothing, commands, and readers of data files."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py

from scraping import free_port, page
from sortgate import Client, keys
from sortgate.cli import run
from sortgate.errors import DuplicateComponentError, UnknownComponentError
from sortgate.plugins import ComponentSpec, create_registry
from sortgate.plugins.observers import MOST_FAILURES
from sortgate.worker.observing import WorkerObservers

StartWorker = Callable[..., Any]

OBSERVER = """
import json, os, time
import msgspec
from sortgate import hookimpl

def note(what, told):
    with open(os.environ["NOTES"], "a") as file:
        file.write(json.dumps([what, msgspec.to_builtins(told)]) + "\\n")

@hookimpl
def sortgate_worker_ready(queues): note("ready", queues)

@hookimpl
def sortgate_batch_done(batch): note("batch", batch)

@hookimpl
def sortgate_text_failed(failure): note("failed", failure)

@hookimpl
def sortgate_epoch_end(epoch): note("epoch", epoch)

@hookimpl
def sortgate_bundle_written(path, metrics): note("bundle", [str(path), metrics["test"]["accuracy"]])
"""

SLOW = """
import time
from sortgate import hookimpl

@hookimpl
def sortgate_batch_done(): time.sleep(600)
"""

FAILS = """
from sortgate import hookimpl

@hookimpl
def sortgate_batch_done(batch): raise RuntimeError("a secret")
"""

COMMAND = """
import click
from sortgate import hookimpl

@click.command("greet")
@click.argument("name")
def greet(name):
    "Greets."
    click.echo(f"hello {name}")

@hookimpl
def sortgate_register_commands(register): register(greet)
"""

COMPONENT = """
from sortgate import hookimpl

@hookimpl
def sortgate_register_normalizers(register): register("zz.lower.v1", lambda: str.lower)
"""

READER = """
import json
from sortgate import hookimpl

def read(path):
    rows = json.loads(path.read_text())
    for row in rows:
        if row.get("text") == "boom": raise ValueError(row["text"])
        yield row

@hookimpl
def sortgate_register_readers(register): register(".json", read)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "plugins"
    path.mkdir()
    monkeypatch.setenv("SORTGATE_PLUGINS_DIR", str(path))
    return path


def notes(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_worker_tells_observers_and_no_text(
    start_worker: StartWorker, redis_url: str, redis: redis_py.Redis, folder: Path, tmp_path: Path
) -> None:
    (folder / "observer.py").write_text(OBSERVER)
    (folder / "other.py").write_text(OBSERVER.replace('["NOTES"]', '["OTHER"]'))
    start_worker("toy", SORTGATE_PLUGINS="observer.py", NOTES=str(tmp_path / "notes"), OTHER=str(tmp_path / "other"))
    with Client(redis_url, queue="toy") as client:
        client.submit(["hello world"], ids=["good"])
        redis.xadd(keys.requests("toy", "normal"), {"v": "1", "id": "other", "text": "a secret", "model": "no/1"})
        assert len(list(client.results(timeout=10, max=2))) == 2
    until = time.monotonic() + 10
    told: list[Any] = []
    while sum(about["texts"] for what, about in told if what == "batch") < 2 or "failed" not in dict(told):
        assert time.monotonic() < until, told
        time.sleep(0.05)
        told = notes(tmp_path / "notes")
    assert told[0][0] == "ready"
    assert told[0][1]["toy"].startswith("toy/")
    (failed,) = [about for what, about in told if what == "failed"]
    assert (failed["queue"], failed["id"], failed["status"]) == ("toy", "other", "rejected")
    assert failed["code"] == "wrong_model"
    assert "secret" not in (tmp_path / "notes").read_text()
    assert not (tmp_path / "other").exists(), "only the allow-list lets an observer into a worker"


def test_observers_that_hang_or_fail_hold_up_no_text(start_worker: StartWorker, redis_url: str, folder: Path) -> None:
    port = free_port()
    (folder / "a.py").write_text(FAILS)
    (folder / "b.py").write_text(SLOW)
    (folder / "c.py").write_text("import no_such_library")
    worker = start_worker("toy", SORTGATE_PLUGINS="a.py,b.py,c.py", SORTGATE_METRICS_PORT=str(port))
    with Client(redis_url, queue="toy") as client:
        assert {result.status for result in client.stream([f"hello {i}" for i in range(2000)])} == {"ok"}
    assert "c.py cannot be imported: ModuleNotFoundError" in worker.output()
    assert "the worker goes on without it" in worker.output()
    assert "failed in sortgate_batch_done: RuntimeError" in worker.output()
    assert "secret" not in worker.output()
    assert 'sortgate_observer_failures_total{hook="sortgate_batch_done",plugin="file:a.py' in page(port, "/metrics")[1]
    assert worker.stop() == 0, "an observer that hangs does not keep the worker from ending"


def test_one_that_fails_again_and_again_is_told_nothing_more_and_others_are(folder: Path) -> None:
    (folder / "a.py").write_text(FAILS)
    (folder / "b.py").write_text(OBSERVER.replace('note("batch", batch)', "batch.append(1)"))
    observers = create_registry(plugins_dir=folder).observers
    told: list[int] = []
    for _ in range(MOST_FAILURES + 5):
        observers.tell("sortgate_batch_done", batch=told)
    assert len(told) == MOST_FAILURES + 5
    assert list(observers.failures.values()) == [MOST_FAILURES]


def test_one_that_wants_to_end_the_process_ends_nothing(folder: Path) -> None:
    (folder / "a.py").write_text(FAILS.replace('RuntimeError("a secret")', "SystemExit(3)"))
    observers = create_registry(plugins_dir=folder).observers
    observers.tell("sortgate_batch_done", batch=None)
    assert list(observers.failures.values()) == [1]


def test_events_that_are_too_many_are_dropped_and_counted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sortgate.worker.observing.MOST_WAITING", 2)
    (folder / "slow.py").write_text(SLOW)
    observers = WorkerObservers(create_registry(plugins_dir=folder).observers)
    started = time.monotonic()
    for number in range(10):
        observers.tell("sortgate_batch_done", batch=number)
    assert time.monotonic() - started < 5, "whoever tells never waits"
    assert 10 - 2 - 1 <= observers.dropped <= 10 - 2, "one may be with the observer"


def test_training_tells_of_epochs_and_of_the_bundle(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "observer.py").write_text(OBSERVER)
    (folder / "fails.py").write_text(FAILS.replace("batch_done(batch)", "epoch_end(epoch)"))
    monkeypatch.setenv("NOTES", str(tmp_path / "notes"))
    rows = [(f"the printer is broken {i}", "hardware") for i in range(40)]
    rows += [(f"i cannot log in {i}", "account") for i in range(40)]
    data = tmp_path / "data.csv"
    data.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    arguments = ["train", str(data), "--out", str(tmp_path / "bundle"), "--epochs", "2", "--no-baselines", "--quiet"]
    assert run([*arguments, "--set", "refit=false"]) == 0
    told = notes(tmp_path / "notes")
    assert [about["number"] for what, about in told if what == "epoch"] == [1, 2]
    assert 0 <= told[0][1]["validation_macro_f1"] <= 1
    ((path, accuracy),) = [about for what, about in told if what == "bundle"]
    assert (Path(path) / "manifest.json").is_file()
    assert 0 <= accuracy <= 1


def test_a_command_of_a_plugin(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "greeting.py").write_text(COMMAND)
    (folder / "broken.py").write_text("1 / 0")
    assert run(["greet", "you"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "hello you\n"
    assert "warning: left out: plugin file" in printed.err
    assert run(["--help"]) == 0
    assert "greet" not in capsys.readouterr().out, "help runs nobody's code"
    assert run(["gret"]) == 2


def test_a_built_in_command_is_no_plugin_s_and_loads_none(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "greeting.py").write_text(COMMAND.replace('"greet"', '"queues"') + "\nprint('imported')\n")
    assert run(["queues", "--help"]) == 0
    assert "imported" not in capsys.readouterr().out


def test_what_is_registered_twice_is_nobody_s_and_named_with_both(folder: Path) -> None:
    for code in (COMMAND, READER, COMPONENT):
        for name in ("one", "two", "zhree"):
            (folder / f"{name}.py").write_text(code)
        registry = create_registry(plugins_dir=folder)
        assert {type(broken.error) for broken in registry.broken} == {DuplicateComponentError}
        said = [re.findall(r"(\w+\.py) and by .*?(\w+\.py); remove one", str(each.error)) for each in registry.broken]
        assert said == [[("one.py", "two.py")], [("one.py", "zhree.py")]]
        assert not registry.others()
        with pytest.raises(DuplicateComponentError):
            create_registry(plugins_dir=folder, only={"one.py", "two.py"})
    registry = create_registry(plugins_dir=folder)
    with pytest.raises(UnknownComponentError, match=r"registered twice: .*one\.py and by .*two\.py"):
        registry.create("normalizer", ComponentSpec("zz.lower.v1"))
    assert registry.create("normalizer", ComponentSpec("sortgate.lowercase.v1"))("A") == "a"


def test_what_plugins_have_beside_components_is_listed(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "all.py").write_text(COMMAND + READER + FAILS)
    monkeypatch.setenv("SORTGATE_PLUGINS_BLOCKED", "nobody.py")
    assert run(["plugins", "list"]) == 0
    printed = capsys.readouterr()
    rows = {tuple(line.split("\t")[:2]) for line in printed.out.splitlines()}
    assert {("command", "greet"), ("reader", ".json"), ("observer", "sortgate_batch_done")} <= rows
    assert printed.err == "sortgate: warning: no plugin here is called file:nobody.py, which a list names\n"
    assert run(["plugins", "show", "all.py"]) == 0
    assert "greet (command), from file:all.py" in capsys.readouterr().out
    assert run(["plugins", "show", "all.py", "--json"]) == 0
    assert [each["kind"] for each in json.loads(capsys.readouterr().out)] == ["command", "observer", "reader"]


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        (COMMAND.replace("register(greet)", "register(1)"), "no click command"),
        (READER.replace('".json"', '"json"'), r"write the suffix as in \.xlsx"),
        (READER.replace('".json", read', '".json", None'), "cannot be called"),
    ],
)
def test_what_is_no_command_or_reader_is_refused(folder: Path, code: str, complaint: str) -> None:
    (folder / "bad.py").write_text(code)
    (broken,) = create_registry(plugins_dir=folder).broken
    assert re.search(complaint, str(broken.error))


def test_a_reader_of_a_plugin(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SORTGATE_PLUGINS_DIR")
    rows = [{"text": f"the printer is broken {i}", "label": "hardware"} for i in range(20)]
    rows += [{"text": f"i cannot log in {i}", "label": "account"} for i in range(20)]
    data = tmp_path / "data.json"
    data.write_text(json.dumps(rows))
    assert run(["check", str(data), "--json"]) == 1
    assert "install a plugin that reads it" in capsys.readouterr().err
    (folder / "reader.py").write_text(READER)
    assert run(["check", str(data), "--json", "--plugins-dir", str(folder)]) == 0
    assert json.loads(capsys.readouterr().out)["parts"][0]["rows"] == 40

    (folder / "broken.py").write_text("1 / 0")
    assert run(["init", str(data), "--plugins-dir", str(folder), "-o", str(tmp_path / "made.toml")]) == 0
    assert "warning: left out: plugin file" in capsys.readouterr().err

    data.write_text(json.dumps([*rows, {"text": "boom", "label": "x"}]))
    assert run(["check", str(data), "--plugins-dir", str(folder)]) == 1
    complaint = capsys.readouterr().err
    assert f"{data}: the reader of the plugin file {folder / 'reader.py'} failed after row 40: ValueError" in complaint
    assert "boom" not in complaint
    data.write_text(json.dumps([{"text": "a", "label": "b"}, {"text": "a"}]))
    assert run(["check", str(data), "--plugins-dir", str(folder)]) == 1
    assert "row 2 has no 'label'; it has 'text'" in capsys.readouterr().err

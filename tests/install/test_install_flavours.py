"""The other flavours, each alone in an empty environment: worker, training, each plugin."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distributions import PLUGINS
from sortgate.demo.texts import generate

ABSENT_FROM_WORKER = ("torch", "onnx", "sklearn", "matplotlib", "sortgate_training", "pytest")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_worker_has_no_torch(create_environment: Callable[..., Any], toy_bundle: Path) -> None:
    worker = create_environment("sortgate[worker]")
    assert worker.has(*ABSENT_FROM_WORKER) == dict.fromkeys(ABSENT_FROM_WORKER, False)
    shown = worker.run("sortgate", "worker", "--help")
    assert shown.returncode == 0, shown.stderr
    assert "--queues" in shown.stdout
    texts = worker.folder / "texts.txt"
    texts.write_text("hello world\nplease help\n")
    done = worker.run("sortgate", "classify", str(toy_bundle), str(texts))
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2
    missing = worker.run("sortgate", "train", "x.csv", "--out", "models/x")
    assert missing.returncode != 0
    [line] = missing.stderr.splitlines()
    assert "pip install sortgate-training" in line


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_training_has_no_celery_and_trains(create_environment: Callable[..., Any]) -> None:
    training = create_environment("sortgate", "sortgate_training")
    assert training.has("celery", "kombu", "pytest") == dict.fromkeys(("celery", "kombu", "pytest"), False)
    labelled = list(generate(600, seed=1))
    data, texts = training.folder / "texts.csv", training.folder / "texts.jsonl"
    with data.open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *labelled])
    texts.write_text("".join(f"{json.dumps({'text': text})}\n" for text, _ in labelled))
    done = training.run("sortgate", "train", str(data), "--out", "models/demo", "--set", "epochs=1")
    assert done.returncode == 0, done.stderr
    classified = training.run("sortgate", "classify", "models/demo", str(texts))
    assert classified.returncode == 0, classified.stderr
    assert len(classified.stdout.splitlines()) == len(labelled)
    missing = training.run("sortgate", "worker", "--queues", "demo")
    assert missing.returncode != 0
    assert 'pip install "sortgate[worker]"' in missing.stderr
    assert "Traceback" not in missing.stderr


def test_plugin_needs_only_the_base(create_environment: Callable[..., Any]) -> None:
    plugin = create_environment("sortgate_nltk")
    absent = ("celery", "onnxruntime", "numpy", "torch", "sortgate_training")
    assert plugin.has(*absent) == dict.fromkeys(absent, False)
    names = plugin.python(
        "from sortgate.plugins import create_registry\n"
        "print(*[c.name for c in create_registry().components() if c.distribution == 'sortgate-nltk'])"
    )
    assert "nltk" in names


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", PLUGINS)
def test_each_plugin_passes_its_tests_alone(create_environment: Callable[..., Any], name: str) -> None:
    """With Sortgate's base, the plugin's own libraries, and what its tests need; nothing of this checkout's."""
    plugin = create_environment(name)
    plugin.install("pytest", "hypothesis", "pytest-timeout")
    absent = ("celery", "onnxruntime", "torch", "sortgate_training")
    assert plugin.has(*absent) == dict.fromkeys(absent, False)
    sources, tests = plugin.folder / "sources", plugin.folder / "sources/tests"
    shutil.copytree(PLUGINS[name] / "tests", tests, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PLUGINS[name] / "README.md", sources)  # some run what it shows
    done = plugin.run("python", "-m", "pytest", "-q", "-W", "error", "--import-mode=importlib", str(tests), timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout

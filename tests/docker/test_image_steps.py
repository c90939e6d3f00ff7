"""The worker image's own steps, run without an engine: its install in an empty environment, its start, its check."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from scraping import free_port
from sortgate import Client
from sortgate.demo.texts import generate
from sortgate.errors import ResultTimeoutError

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def build(stages: Any, root: Path) -> Path:
    """Carry out the steps of the build stage and the copies of the final one below ``root``; returns its ``bin``."""
    build, final = stages
    source = root / build.last("WORKDIR").lstrip("/")
    source.mkdir(parents=True)
    for step in build.all("COPY"):
        *names, target = step.split()
        for name in names:
            place = source / target / Path(name).name if target.endswith("/") else source / target
            (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, place)
    env = {**clean_env(), **{name: value.replace("/src/", f"{source}/") for name, value in build.env.items()}}
    for step in build.all("RUN"):
        # `python` of the base image is this Python; /opt is below the folder that stands for the root.
        command = [word.replace("/opt/", f"{root}/opt/") for word in shlex.split(step)]
        command[0] = sys.executable if command[0] == "python" else command[0]
        done = subprocess.run(command, cwd=source, env=env, capture_output=True, text=True, check=False, timeout=500)
        assert done.returncode == 0, f"{step}\n{done.stdout}\n{done.stderr}"
    for step in final.all("COPY"):
        if not step.startswith("--from"):
            name, target = step.split()
            shutil.copy(ROOT / name, root / target.lstrip("/"))
    return root / "opt/sortgate/bin"


def runtime_env(final: Any, root: Path, **more: str) -> dict[str, str]:
    """Return the environment that the image sets, on top of an ordinary one."""
    env = {name: value.replace("/opt/", f"{root}/opt/") for name, value in final.env.items()}
    path = f"{root}/opt/sortgate/bin{os.pathsep}{os.environ['PATH']}"
    return {**clean_env(), **env, "PATH": path, **more}


def clean_env() -> dict[str, str]:
    """Return the environment without anything that would let the new one see this one."""
    hidden = ("PYTHON", "VIRTUAL_ENV", "SORTGATE_", "PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT")
    return {name: value for name, value in os.environ.items() if not name.startswith(hidden)}


def versions(bin_dir: Path) -> dict[str, str]:
    """Return canonical name → version of what is installed, local parts of versions cut off."""
    command = [bin_dir / "python", "-m", "pip", "list", "--format", "json"]
    listed = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return {re.sub(r"[-_.]+", "-", item["name"]).lower(): item["version"].partition("+")[0] for item in listed}


def assert_pinned(installed: dict[str, str]) -> None:
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    own = {"pip", "setuptools", "sortgate", "sortgate-training"}  # an empty environment brings the first two
    assert {
        name: version for name, version in installed.items() if name not in own and pinned.get(name) != version
    } == {}


def test_worker_image_installs_starts_answers_and_stops(
    worker_stages: Any, tmp_path: Path, redis_url: str, toy_models: Path
) -> None:
    root, final = tmp_path / "root", worker_stages[-1]
    bin_dir = build(worker_stages, root)
    installed = versions(bin_dir)
    assert {"celery", "onnxruntime", "tokenizers", "redis"} <= installed.keys()
    assert not installed.keys() & {"torch", "onnx", "scikit-learn", "matplotlib", "sortgate-training", "pytest"}
    assert_pinned(installed)

    settings = {"SORTGATE_REDIS_URL": redis_url, "SORTGATE_QUEUES": "toy", "SORTGATE_MODELS_DIR": str(toy_models)}
    settings["SORTGATE_METRICS_PORT"] = str(free_port())  # the image's own may be in use here
    env = runtime_env(final, root, **settings)
    program, *arguments = final.command
    work = root / "tmp"
    work.mkdir()
    started = time.perf_counter()
    worker = subprocess.Popen(
        [bin_dir / program, *arguments], cwd=work, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, start_new_session=True,
    )  # fmt: skip
    try:
        with Client(redis_url, queue="toy") as client:
            try:
                result = client.classify("hello world", timeout=60)
            except ResultTimeoutError:
                worker.kill()
                pytest.fail(f"no answer: {worker.communicate()[0]}")
        print(f"first label {time.perf_counter() - started:.1f} s after the start")
        assert result.status == "ok"
        assert result.model is not None
        assert result.model.startswith("toy/")
        check = [bin_dir / "python", root / "opt/sortgate/healthcheck.py"]
        assert subprocess.run(check, env=env, check=False, timeout=30).returncode == 0
        os.kill(worker.pid, getattr(signal, final.last("STOPSIGNAL")))
        output, _ = worker.communicate(timeout=30)
        assert worker.returncode == 0, output
    finally:
        if worker.poll() is None:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
    assert not [path for path in work.rglob("*") if path.is_file()], "a read-only root leaves only /tmp to write to"


def test_training_image_installs_and_trains(training_stages: Any, tmp_path: Path) -> None:
    root, final = tmp_path / "root", training_stages[-1]
    bin_dir = build(training_stages, root)
    installed = versions(bin_dir)
    assert {"torch", "onnx", "onnxruntime"} <= installed.keys()
    assert not installed.keys() & {"celery", "kombu", "pytest"}
    env = runtime_env(final, root, HOME=str(tmp_path), MPLCONFIGDIR=str(tmp_path))
    program, *arguments = final.command
    shown = subprocess.run([bin_dir / program, *arguments], env=env, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert "--out" in shown.stdout

    data = tmp_path / "texts.csv"
    with data.open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *generate(600, seed=1)])
    train = [bin_dir / program, "train", data, "--out", tmp_path / "models/demo", "--set", "epochs=1"]
    done = subprocess.run(train, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "models/demo").glob("*/manifest.json"))

"""Fixtures shared by all tests: a private Redis, a small bundle, and workers as real processes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pytest
import redis as redis_py

from sortgate.bundle import Manifest, ModelInfo, write_bundle
from sortgate.embedded import EmbeddedRedis
from sortgate.faults import ChaosProxy
from sortgate.inference import Classifier
from sortgate.inference.golden import make_golden
from sortgate.inference.session import Session
from sortgate.plugins import create_registry
from sortgate.textpath import TextConfig, TextLimits, TextPath
from sortgate_training.graph import random_model

# A shell that starts a job in the background has it ignore Ctrl-C, and whatever the job starts inherits that: tests
# that interrupt a command would wait for it in vain.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[EmbeddedRedis]:
    """A private Redis server for the whole run."""
    with EmbeddedRedis() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: EmbeddedRedis) -> str:
    """URL of an empty Redis."""
    with redis_py.Redis.from_url(redis_server.url) as client:
        client.flushall()
        client.config_set("maxmemory", 0)
        client.config_set("maxmemory-policy", "noeviction")
    return redis_server.url


@pytest.fixture
def redis(redis_url: str) -> Iterator[redis_py.Redis]:
    """A client of that Redis that returns str."""
    with redis_py.Redis.from_url(redis_url, decode_responses=True, protocol=2) as client:
        yield client


@pytest.fixture
def proxy(redis_server: EmbeddedRedis, redis_url: str) -> Iterator[ChaosProxy]:
    """A chaos proxy before the shared Redis."""
    assert redis_url
    with ChaosProxy(redis_server.port) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the reference data sets; a machine without them skips."""
    folder = os.environ.get("SORTGATE_TEST_DATA", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("SORTGATE_TEST_DATA names no folder of reference data sets")
    return Path(folder)


class Worker:
    """A real ``sortgate worker`` in a process group of its own, with its log in a file."""

    def __init__(
        self, redis_url: str, models: Path, queues: str, log: Path, concurrency: int, env: dict[str, str]
    ) -> None:
        self.log = log
        self._file = log.open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sortgate", "worker", "--models", str(models), "--queues", queues,
             "--concurrency", str(concurrency), "--loglevel", "debug"],
            stdout=self._file, stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, "SORTGATE_REDIS_URL": redis_url, "PYTHONFAULTHANDLER": "1", **env},
        )  # fmt: skip

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def children(self) -> list[int]:
        """Process ids of its pool."""
        return [child.pid for child in psutil.Process(self.pid).children()]

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_ready(self, timeout: float = 30.0) -> None:
        """Wait until a pool process has loaded the bundles."""
        deadline = time.monotonic() + timeout
        while "serving queue" not in self.output():
            assert self.process.poll() is None, f"worker ended:\n{self.output()}"
            assert time.monotonic() < deadline, f"worker not ready:\n{self.output()}"
            time.sleep(0.05)

    def stop(self, signum: int = signal.SIGTERM, *, group: bool = False, timeout: float = 30.0) -> int:
        """Send a signal and return the exit status."""
        if self.process.poll() is None:
            (os.killpg if group else os.kill)(self.pid, signum)
        return self.process.wait(timeout)

    def kill(self) -> None:
        """SIGKILL the whole tree, as an out-of-memory killer or a lost machine would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait(10)
        self._file.close()


@pytest.fixture
def start_worker(redis_url: str, toy_models: Path, tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Start workers on the test's Redis; those still there at the end are killed."""
    workers: list[Worker] = []

    def start(queues: str = "toy", *, models: Path | None = None, concurrency: int = 1, url: str | None = None,
              ready: bool = True, **env: str) -> Worker:  # fmt: skip
        log = tmp_path / f"worker-{len(workers)}.log"
        worker = Worker(url or redis_url, models or toy_models, queues, log, concurrency, env)
        workers.append(worker)
        if ready:
            worker.wait_ready()
        return worker

    yield start
    for worker in workers:
        worker.kill()


@pytest.fixture(scope="session")
def make_bundle() -> Callable[..., Path]:
    """Write a small bundle with a random but real LSTM, as training would."""
    return write_toy_bundle


@pytest.fixture(scope="session")
def toy_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with the bundles ``toy`` and ``second``."""
    models = tmp_path_factory.mktemp("models")
    write_toy_bundle(models / "toy", seed=1)
    write_toy_bundle(models / "second", seed=2)
    return models


@pytest.fixture(scope="session")
def toy_bundle(toy_models: Path) -> Path:
    """Folder of the bundle ``toy``."""
    return toy_models / "toy"


@pytest.fixture(scope="session")
def toy_classifier(toy_bundle: Path) -> Classifier:
    """The bundle ``toy``, loaded."""
    return Classifier.load(toy_bundle)


def write_toy_bundle(
    parent: Path,
    *,
    seed: int = 1,
    cell: str = "lstm",
    labels: tuple[str, ...] = ("billing", "login", "other"),
    normalizers: Sequence[str] = ("sortgate.nfkc.v1", "sortgate.lowercase.v1"),
    postprocessors: Sequence[str] = (),
    plugins_dir: Path | None = None,
    spoil_golden: bool = False,
    alter: Callable[[bytes], bytes] | None = None,
) -> Path:
    """Return the folder of a new version under ``parent``; ``alter`` may change its model."""
    words = [f"word{i}" for i in range(50)] + [
        "hello",
        "world",
        "please",
        "help",
        "text",
        "number",
        "says",
        "again",
        "i",
        "the",
    ]
    registry = create_registry(plugins_dir=plugins_dir)
    config = TextConfig(normalizers=list(normalizers), postprocessors=list(postprocessors))
    path = TextPath.create(config, registry, TextLimits())
    path.fit([" ".join(words)] * 2)
    assert path.vocabulary is not None
    model = random_model(len(path.vocabulary), len(labels), cell=cell, pairs=50, seed=seed)
    if alter is not None:
        model = alter(model)
    manifest = Manifest(
        name=parent.name,
        labels=list(labels),
        text=path.records(registry),
        model=ModelInfo(cell=cell),
        limits=path.limits,
    )
    golden = make_golden(Classifier(path, Session(model), manifest), ["hello world", "please help me with word7", ""])
    if spoil_golden:
        golden = golden.replace(b'"logits":[', b'"logits":[9')
    files = {"model.onnx": model, "vocabulary.txt": path.vocabulary.to_bytes(), "golden.jsonl": golden, **path.states()}
    return write_bundle(parent, manifest, files)

"""The demo from end to end: data, training, Redis, workers, traffic, and what came of it."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import redis
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from sortgate import Classifier, Client, keys
from sortgate.client.connection import broker_error, create_redis
from sortgate.demo.material import Material, folder_material, generated_material
from sortgate.demo.processes import START_S, Crew, run_train, sigterm_exits
from sortgate.demo.report import Report, Sample
from sortgate.demo.score import accuracy, macro_f1, percentile
from sortgate.demo.traffic import round_trips_ms, stream_texts
from sortgate.embedded import EmbeddedRedis, find_server
from sortgate.errors import ResultError
from sortgate.settings import Settings
from sortgate.streams.admin import queue_stats

NAME = "demo"
#: Texts of the phase that measures round trips, one after the other.
ROUND_TRIPS = 500
SAMPLES = 10
#: Longer than a worker takes to report its count again.
HEARTBEAT_S = 8.0
#: What generated texts need; the default is for real ones.
EPOCHS = ("--epochs", "3")


def run_demo(
    *, data: Path | None, texts: int, workers: int, models: Path | None, console: Console, quiet: bool
) -> Report:
    """Run it all; whatever was started is stopped and whatever was written is removed, however this ends.

    Args:
        data: folder with train and test files; None generates support-desk texts.
        texts: how many to generate and stream; not used with ``data``.
        workers: worker processes, one pool process each.
        models: folder that keeps the trained bundle; None uses a temporary one.
        console: where to say what is going on.
        quiet: keep standard output free for the caller.

    Raises:
        SortgateError: a part failed; the message says which.
    """
    with sigterm_exits(), contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="sortgate-demo-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        # Asked before a minute of training: are there texts, and is there a Redis to be had?
        if url := _given_url():
            _check_reachable(url)
        else:
            find_server()
        material = folder_material(data) if data else generated_material(folder, texts)
        console.print(_describe(material, data), highlight=False, soft_wrap=True)
        bundle = (models or folder / "models") / NAME
        started = time.perf_counter()
        run_train([str(material.source), "--out", str(bundle), *(EPOCHS if material.generated else ())], quiet=quiet)
        return serve(material, bundle, workers, folder, console, train_s=time.perf_counter() - started)


def serve(
    material: Material, bundle: Path, workers: int, folder: Path, console: Console, *, train_s: float = 0.0
) -> Report:
    """Start Redis and workers, stream the texts and report; ``folder`` takes the workers' logs."""
    with contextlib.ExitStack() as stack:
        url = _given_url()
        if url:
            console.print("Redis: the one of SORTGATE_REDIS_URL; the demo removes its keys at the end.")
        else:
            server = stack.enter_context(EmbeddedRedis())
            url = server.url
            where = f"Redis: a private one on port {server.port}, stopped with its data removed at the end."
            console.print(where, highlight=False, soft_wrap=True)
        queue = f"{NAME}-{secrets.token_hex(4)}"
        stack.callback(_remove_keys, url, queue)
        crew = stack.enter_context(Crew(url, bundle, queue, workers, folder))
        first_label_s = _first_label(url, queue, material.texts[0], crew)
        console.print(f"Workers: {workers}, first label {first_label_s:.1f} s after their start.", highlight=False)
        return _stream(url, queue, crew, material, bundle, console, first_label_s=first_label_s, train_s=train_s)


def _given_url() -> str:
    return os.environ.get("SORTGATE_REDIS_URL", "").strip()


def _check_reachable(url: str) -> None:
    """Ask Redis for a sign of life.

    Raises:
        ConfigurationError: the URL cannot be read.
        BrokerError: Redis is absent or refuses.
    """
    settings = Settings.from_env(redis_url=url)
    with create_redis(settings) as link:
        try:
            link.ping()
        except (redis.RedisError, OSError) as error:
            raise broker_error(error, settings) from None


def _describe(material: Material, data: Path | None) -> str:
    if material.generated:
        return "Data: generated support-desk texts, written for this project; nobody's real tickets."
    return f"Data: {data}, {len(material.texts):,} test texts."


def _first_label(url: str, queue: str, text: str, crew: Crew) -> float:
    """Return the seconds from the workers' start to the first answer; returns when every worker is there."""
    with redis.Redis.from_url(url) as link, Client(url, queue=queue) as client:
        crew.wait_until(lambda: link.hlen(keys.workers(queue)) > 0)
        with contextlib.suppress(ResultError):  # an answer, too
            client.classify(text, timeout=START_S)
        seconds = time.perf_counter() - crew.started
        crew.wait_until(lambda: link.hlen(keys.workers(queue)) >= len(crew.processes))
    return seconds


def _stream(
    url: str,
    queue: str,
    crew: Crew,
    material: Material,
    bundle: Path,
    console: Console,
    *,
    first_label_s: float,
    train_s: float,
) -> Report:
    with redis.Redis.from_url(url, decode_responses=True) as link:
        before = _answered(link, queue)
        with _progress(console, len(material.texts)) as show:
            traffic = stream_texts(url, queue, material.texts, on_progress=show, check=crew.check)
        given = [result.label if result and result.status == "ok" else None for result in traffic.results]
        identical = None if material.generated else _identical(bundle, material.texts, given)
        by_worker = _by_worker(link, queue, before, traffic.audit.ok)
    trips = round_trips_ms(url, queue, material.texts[:ROUND_TRIPS])
    answered = zip(material.texts, material.labels, traffic.results, strict=True)
    samples = [
        Sample(text, truth, result.label, result.score) for text, truth, result in answered if result is not None
    ]
    return Report(
        data="generated" if material.generated else str(material.source),
        texts=len(material.texts),
        accuracy=accuracy(material.labels, given),
        macro_f1=macro_f1(material.labels, given),
        texts_per_s=traffic.texts_per_s,
        first_label_s=first_label_s,
        train_s=train_s,
        p50_ms=percentile(trips, 0.50),
        p99_ms=percentile(trips, 0.99),
        loaded_p50_ms=percentile(traffic.latencies_ms, 0.50),
        loaded_p99_ms=percentile(traffic.latencies_ms, 0.99),
        queue=traffic.audit,
        by_worker=by_worker,
        identical=identical,
        samples=samples[:SAMPLES],
    )


def _answered(link: redis.Redis, queue: str) -> dict[str, int]:
    """Return worker → texts it had answered at its last heartbeat."""
    return {beat.consumer: beat.done for beat in queue_stats(link, queue).workers}


def _by_worker(link: redis.Redis, queue: str, before: dict[str, int], answered: int) -> list[int]:
    """Return the texts that each worker answered since ``before``, once heartbeats tell of all of them."""
    ends = time.monotonic() + HEARTBEAT_S
    while True:
        counts = [done - before.get(name, 0) for name, done in sorted(_answered(link, queue).items())]
        if sum(counts) >= answered or time.monotonic() > ends:
            return counts
        time.sleep(0.1)


def _identical(bundle: Path, texts: list[str], given: list[str | None]) -> int:
    """Count the texts to which the bundle, without Redis and workers, gives the same label."""
    predictions = Classifier.load(bundle)(texts)
    return sum(prediction.label == label for prediction, label in zip(predictions, given, strict=True))


def _remove_keys(url: str, queue: str) -> None:
    # Matters only on a Redis that was given; the private one goes away with everything.
    with contextlib.suppress(redis.RedisError, OSError), redis.Redis.from_url(url, socket_timeout=5) as link:
        # Celery's own: the list of tasks, and kombu's bindings of that list to its exchange
        for pattern in (keys.prefix(queue) + "*", "*" + keys.celery_queue(queue)):
            for key in link.scan_iter(pattern, count=1000):
                link.delete(key)


@contextlib.contextmanager
def _progress(console: Console, total: int) -> Iterator[Callable[[int], None]]:
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"), TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("Streaming", total=total, rate="")
        started = time.perf_counter()

        def show(answered: int) -> None:
            bar.update(task, completed=answered, rate=f"{answered / (time.perf_counter() - started):,.0f} texts/s")

        yield show

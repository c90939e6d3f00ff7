"""What runs in a pool process: bundles are loaded there, after the fork, and batches are answered."""

from __future__ import annotations

import gc
import os
import resource
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from celery.utils.log import get_logger

from sortgate.errors import ConfigurationError, SortgateError
from sortgate.messages import parse_request
from sortgate.settings import Settings
from sortgate.worker.answer import answer_batch, pack_answers, refusal
from sortgate.worker.breaker import check_components, try_golden
from sortgate.worker.copies import (
    Answered,
    Descriptors,
    NoCopyError,
    answer_in_copy,
    look_at_each,
    open_descriptors,
    why_no_copy,
)
from sortgate.worker.entries import Care, PackedBatch
from sortgate.worker.figures import BatchFigures

if TYPE_CHECKING:
    from sortgate.inference import Classifier

logger = get_logger(__name__)

#: New objects after which the garbage collector runs: those of some batches.
GC_EVERY = 100_000

_decoder = msgspec.msgpack.Decoder(PackedBatch)


class Process:
    """State of one pool process; there is one instance, filled by :func:`load`."""

    def __init__(self) -> None:
        self.classifiers: dict[str, Classifier] = {}
        self.max_text_bytes = 0
        self.batch_memory_bytes = 0
        self.breaker_failures = 0
        self.failure: SortgateError | None = None
        self.descriptors: Descriptors | None = None
        self.copies = True


_process = Process()


def load(served: dict[str, Path], settings: Settings) -> None:
    """Load the bundles of the queues served; queues that share a bundle share its session, and its cache.

    A failure is kept and raised by the first job instead: a process that dies while starting would only be
    started again, for ever.
    """
    # The pool's processes share the cores already; and a process with threads cannot be copied. OpenBLAS, that of
    # NumPy, looks at this as it is loaded.
    for library in ("OPENBLAS", "OMP", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    _process.descriptors = open_descriptors()
    # ONNX Runtime is imported after the fork, never before
    from sortgate.inference import Classifier
    from sortgate.inference.sharing import Sharing

    # A signal to the whole process group must not kill a process that is answering texts: the main process
    # tells it to end once it is drained.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _process.max_text_bytes = settings.max_text_bytes
    _process.batch_memory_bytes = settings.batch_memory_bytes
    _process.breaker_failures = settings.breaker_failures
    loaded: dict[Path, Classifier] = {}
    try:
        for queue, path in served.items():
            if path not in loaded:
                loaded[path] = Classifier.load(path)
                if settings.coalesce:
                    loaded[path].sharing = Sharing(settings.cache_texts)
            _process.classifiers[queue] = loaded[path]
    except SortgateError as error:
        _process.failure = error
    except Exception as error:  # a missing library, memory: Celery would log it and go on without a classifier
        _process.failure = ConfigurationError(f"bundles cannot be loaded: {type(error).__name__}: {error}")
    # A batch makes thousands of objects, none of them in a cycle: looking through them every 700, and through all
    # that was loaded now and then, would take a fifth of the time that a text costs outside ONNX Runtime.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_EVERY)


def limit_memory(room_bytes: int) -> None:
    """Let this process take so many bytes more than it has now, and no more; 0 for no limit.

    An allocation beyond it fails here, where that is one text's failure, instead of waking the kernel's out-of-memory
    killer, which may choose any process of the machine. Said anew for every batch, so that what a process has come to
    keep, a cache or a leak, is not held against the next texts. Counted is private writable memory (``RLIMIT_DATA``,
    getrlimit(2)), not the bundle's mapped file.
    """
    if not room_bytes:
        return
    try:
        pages = int(Path("/proc/self/statm").read_bytes().split()[5])  # data and stack, proc(5)
    except OSError:  # no Linux
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = pages * resource.getpagesize() + room_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def classifier_for(queue: str) -> Classifier:
    """Return the classifier of a queue, for a batch that begins now: from here on its memory is limited.

    Raises:
        SortgateError: this process could not load its bundles, or does not serve the queue.
    """
    if _process.failure is not None:
        raise _process.failure
    limit_memory(_process.batch_memory_bytes)
    try:
        return _process.classifiers[queue]
    except KeyError:
        raise ConfigurationError(f"this worker does not serve queue {queue!r}") from None


def ready() -> list[tuple[str, str, str]]:
    """Return queue, model and fingerprint of every queue served, or raise what kept the bundles from loading."""
    if _process.failure is not None:
        raise _process.failure
    return [
        (queue, classifier.model_name, classifier.fingerprint) for queue, classifier in _process.classifiers.items()
    ]


class Tried(NamedTuple):
    """What became of a batch; travels as a plain tuple.

    Attributes:
        answers: msgpack argument of commit.lua.
        figures: what ``BatchFigures`` is made of; None when there are no answers.
        deadly: positions of entries that are not answered, since copies of the process die of them; and how they do.
        deaths: copies that died.
    """

    answers: bytes = b""
    figures: tuple[Any, ...] | None = None
    deadly: Mapping[int, str] = {}
    deaths: int = 0


def run_batch(packed: bytes, care: int = Care.NONE, limit_s: float = 0.0) -> tuple[Any, ...]:
    """Answer one packed batch; returns a ``Tried``.

    Args:
        packed: from :func:`sortgate.worker.entries.pack_batch`.
        care: a ``Care``; without where this process cannot be copied.
        limit_s: what the batch may take, with care.

    Raises:
        ComponentBrokenError: a component fails here whatever it is given; the batch is for another worker.
        CopyDiedError: a copy of this process died, of the only text or of nobody knows which.
    """
    batch = _decoder.decode(packed)
    classifier = classifier_for(batch.queue)

    def answer(entries: list[tuple[int, str, list[bytes]]]) -> Answered:
        answers, figures = answer_batch(classifier, batch.queue, batch.now_ms, entries, _process.max_text_bytes)
        check_components(classifier, _process.breaker_failures)
        return pack_answers(answers), tuple(figures)

    if care and _can_copy():
        try:
            return tuple(_answer_with_care(classifier, batch, answer, care, limit_s))
        except NoCopyError as error:
            _without_copies(str(error))
    return tuple(Tried(*answer(batch.entries)))


def _answer_with_care(
    classifier: Classifier,
    batch: PackedBatch,
    answer: Callable[[list[tuple[int, str, list[bytes]]]], Answered],
    care: int,
    limit_s: float,
) -> Tried:
    """Answer what no copy dies of.

    Raises:
        NoCopyError: there is no telling.
    """
    if len(batch.entries) == 1:  # it has all of the time for itself, and a copy that dies says all there is to know
        return Tried(*answer_in_copy(classifier, lambda: answer(batch.entries)))
    started = time.monotonic()
    requests = [
        parse_request(entry, fields, batch.queue, _process.max_text_bytes) for _, entry, fields in batch.entries
    ]
    asked = [number for number, each in enumerate(requests) if refusal(each, classifier, batch.now_ms) is None]
    # half of the time is for answering
    looked = look_at_each(classifier.text_path, [requests[number].text for number in asked], started + limit_s / 2.0)
    deadly = {asked[position]: how for position, how in looked.deadly.items()}
    left = [entry for number, entry in enumerate(batch.entries) if number not in deadly]
    if not left:
        return Tried(deadly=deadly, deaths=looked.deaths)
    looking_s = time.monotonic() - started
    answers, found = answer(left) if care < Care.ALL else answer_in_copy(classifier, lambda: answer(left))
    figures = BatchFigures(*found)
    return Tried(answers, tuple(figures._replace(batch_s=figures.batch_s + looking_s)), deadly, looked.deaths)


def _can_copy() -> bool:
    if _process.copies:
        problem = why_no_copy(_process.descriptors)
        if problem is not None:
            _without_copies(f"no copies of the process are made: {problem}")
    return _process.copies


def _without_copies(problem: str) -> None:
    """Do without from now on, and say why, once."""
    _process.copies = False
    logger.warning("%s; each text that ends its process costs a process", problem)


def try_components(queue: str) -> str | None:
    """Return why a component of a queue's bundle fails on the golden texts in this process, None when none does."""
    return try_golden(classifier_for(queue))

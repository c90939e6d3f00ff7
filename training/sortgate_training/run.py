"""One training run, from labelled texts to a bundle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from sortgate.bundle import ModelInfo
from sortgate.encoded import Encoded
from sortgate.errors import TrainingError
from sortgate.plugins import Registry
from sortgate.textpath import TextPath
from sortgate.vocabulary import Vocabulary
from sortgate_training.batches import EncodedTexts
from sortgate_training.begin import Start, batches_of, begin, choose_device, named
from sortgate_training.budget import Budget
from sortgate_training.calibration import fit_temperature
from sortgate_training.config import TrainingConfig
from sortgate_training.distillation import Teaching, create_distillation_loss, join_taught
from sortgate_training.encoding import encode_part
from sortgate_training.export import check_parity, export_graph
from sortgate_training.finder import Point, find_rate
from sortgate_training.finish import Fitted, Trained, finish
from sortgate_training.history import History
from sortgate_training.interrupt import Stop, stop_on_signals
from sortgate_training.joining import weigh_and_join
from sortgate_training.judging import Cut, choose_cut, judge
from sortgate_training.logits import torch_logits
from sortgate_training.loop import Control, Watcher, fit
from sortgate_training.model import HybridClassifier
from sortgate_training.ngrams import fit_ngrams
from sortgate_training.nodes import OPSET
from sortgate_training.observing import observed
from sortgate_training.precision import Deciding, check_precision, choose_precision
from sortgate_training.refit import Decided, Means, left_out, refit
from sortgate_training.runfolder import RunFolder, identify
from sortgate_training.split import Parts
from sortgate_training.tables import NgramTables


def train_bundle(
    out: Path,
    parts: Parts,
    config: TrainingConfig,
    registry: Registry,
    *,
    say: Callable[[str], None],
    watch: Callable[[int, int], Watcher],
    threads: int = 1,
    command: str = "",
    folder: RunFolder | None = None,
    every_s: float = 60.0,
    budget: Budget | None = None,
    device: str = "cpu",
    teaching: Teaching | None = None,
) -> Trained:
    """Train, choose the precision, train on with all texts, judge on the test texts, and write a new version.

    Args:
        out: folder of the bundle's versions; its name is the bundle's.
        parts: from :func:`sortgate_training.split.divide`.
        config: everything else that decides the outcome.
        registry: components to choose from.
        say: told what a reader should know, in sentences, as it comes up.
        watch: makes the loop's watcher, given the number of training texts and of epochs.
        threads: of PyTorch, and of ONNX Runtime for the final judgement.
        command: the command line, for the report.
        folder: of the run, for checkpoints and the log; None keeps none.
        every_s: seconds between two checkpoints within an epoch.
        budget: ends training in time.
        device: ``cpu``, ``cuda``, or ``auto`` for CUDA where there is any.
        teaching: teachers to learn from beside the labels.

    Raises:
        DataError: no text, or none of a label, is left after the text path; or the teachers' labels are others.
        ConfigurationError: settings that do not go together.
        TrainingError: the loss diverged, or the exported model is not good enough.
        PluginError: a component of the text path is unknown or refuses its parameters.
        BundleError: the bundle cannot be written.
        KeyboardInterrupt: stopped before the first epoch was over, or twice before the bundle was written.
    """
    check_precision(config.precision, config.model.cell)
    where = choose_device(device)
    others: dict[str, Any] = {"device": where.type}
    if teaching is not None:
        teaching.check(parts, config)
        for note in teaching.notes():
            say(note)
        teaching = teaching.apart_from(parts, say)
        others |= teaching.identity()
    source = config
    config, digests = named(config)
    others |= digests
    others["components"] = {
        record.name: f"{record.distribution} {record.digest or record.version}"
        for record in TextPath.create(config.text, registry).records(registry)
        if record.distribution != "sortgate"
    }
    resumed = None
    if folder is not None:
        resumed = folder.check(identify(config, parts, threads, **others))
    sets = parts.train.sets is not None
    unlabelled = None if teaching is None else teaching.unlabelled
    more = () if unlabelled is None else unlabelled.texts
    start = begin(parts, source, registry, where, threads, say, taught=teaching is not None, more=more)
    path, vocabulary, labels, batches, recurrent, loss = (
        start.path, start.vocabulary, start.labels, start.batches, start.recurrent, start.loss,
    )  # fmt: skip
    answers = None
    if teaching is not None:
        answers = ask_teachers(teaching, parts, labels, folder, say)
        taught = join_taught(path, start.learned, unlabelled, answers, labels, say)
        batches = batches_of(taught, config)
        loss = create_distillation_loss(loss, config.distillation, sets=sets)
        start.record["teachers"] = teaching.record()
    held_out, judged = encode_part(path, parts.validation, labels, say)
    tables = fit_tables(start.learned, judged, vocabulary, len(labels), config, folder, say)
    ngram_logits = None if tables is None else tables.logits(judged)
    control = Control(every_s=every_s, resumed=resumed, budget=budget, device=where)
    if folder is not None:
        folder.begin()
        if tables is not None and resumed is None:
            folder.save_ngrams(tables)
        if answers is not None and resumed is None:
            folder.save_taught(answers)
        control.save = folder.save
        control.log = lambda epoch: folder.log(msgspec.to_builtins(epoch))
    watching = observed(watch, registry.observers)
    if resumed is not None:
        epochs = msgspec.convert(resumed.facts["history"], History).over
        say(f"going on after epoch {epochs} and {resumed.facts['epoch']['texts']:,} texts of the next")
    if budget is not None:
        seconds = budget.begin()
        gone = f"{budget.spent():.0f} of {budget.seconds:.0f} s are gone"
        say(f"time budget: {gone}, about {seconds:.0f} s are for training, the rest for judging and export")
    try:
        history = fit(
            recurrent,
            batches,
            loss,
            lambda trained: judge(trained, judged, ngram_logits, start.shift),
            with_metric(config, sets=sets),
            watching(len(batches.texts), config.epochs_of(len(batches), batches.tokens)),
            control,
        )
    except TrainingError as error:
        if folder is not None:
            folder.end("failed", str(error), keep=False)
        raise
    except KeyboardInterrupt:
        if folder is not None:
            folder.end("unfinished", "stopped before the first epoch was over", keep=True)
            say(f"there is no model yet; --resume goes on with {folder.path}")
        raise
    with _until_the_bundle_is_written(history, folder, say) as stop:
        recurrent.cpu()
        say(f"{history.stopped}; epoch {history.best} is kept")
        if words := history.overfitting():
            say(words)
        fitted, decided = decide(start, history, tables, judged, held_out, parts, config, registry, say)
        if unlabelled is not None:
            fitted.more["unlabelled"] = unlabelled
        refitted = None
        tokens = int(start.learned.lengths.sum())
        without = left_out(config, tokens, parts, budget=budget is not None, taught=teaching is not None, stop=stop)
        if without is None:
            means = Means(registry, where, threads, say, watch, folder, every_s, stop)
            refitted = refit(fitted, decided, parts, source, means)
        elif without and not history.interrupted:
            say(without)
            fitted.notes.append(without)
        trained = finish(
            out, parts, config, fitted, threads, refitted=refitted, say=say, command=command, hurried=budget is not None
        )
    kept = trained.manifest
    registry.observers.tell(
        "sortgate_bundle_written", path=trained.bundle, labels=list(kept.labels), metrics=kept.metrics
    )
    if folder is not None:
        ending = f"{history.stopped}; epoch {history.best} is kept"
        if refitted is not None:
            ending += f"; trained on with {refitted.learned} texts"
        folder.end("finished", ending, keep=False)
    return trained


def decide(
    start: Start,
    history: History,
    tables: NgramTables | None,
    judged: EncodedTexts,
    held_out: list[Encoded],
    parts: Parts,
    config: TrainingConfig,
    registry: Registry,
    say: Callable[[str], None],
) -> tuple[Fitted, Decided]:
    """Return the classifier that the validation texts make of the trained network, and what a second training needs.

    Args:
        start: whose network is trained.
        history: of its training.
        tables: the n-gram path, None without.
        judged: the validation texts.
        held_out: the same, as the text path gives them.
        parts: the texts; of test texts only the answers count, where int8 is judged.
        config: everything else.
        registry: components.
        say: told what is decided.

    Raises:
        TrainingError: the exported model is not good enough, or no score reaches the goal.
    """
    module, factors = HybridClassifier(start.recurrent), None
    if tables is not None:
        module, factors = weigh_and_join(start.recurrent, tables, judged, start.shift, say)
    logits = torch_logits(module, judged)
    temperature = fit_temperature(logits if start.shift is None else logits + start.shift, judged.targets)

    def choose(scaled: npt.NDArray[Any], targets: npt.NDArray[Any]) -> Cut:
        return choose_cut(scaled, targets, start.labels, config)

    cut = choose(logits / temperature, judged.targets)
    for note in cut.notes:
        say(note)
    graph = export_graph(module)
    parity = check_parity(module, graph.SerializeToString(), held_out, config.limits.max_tokens)
    if config.precision != "float32":
        held_out = held_out + [item for item in start.path.encode(parts.test.texts) if isinstance(item, Encoded)]
    info = ModelInfo(cell=config.model.cell, opset=OPSET)
    chosen = choose_precision(
        config.precision, graph, info, held_out, judged.targets, Deciding(temperature, cut, choose)
    )
    if chosen.reason:
        say(chosen.reason)
    for note in chosen.cut.notes:
        if note not in cut.notes:
            say(f"{chosen.info.precision}: {note}")
    fitted = Fitted(
        start.path, start.vocabulary, registry, start.labels, history, temperature, parity, chosen, start.shift,
        start.record,
    )  # fmt: skip
    penalties = () if tables is None else tables.penalties
    return fitted, Decided(start.recurrent, history.best, penalties, factors)


@contextmanager
def _until_the_bundle_is_written(
    history: History, folder: RunFolder | None, say: Callable[[str], None]
) -> Iterator[Stop]:
    """From the end of the first training on, let the first signal leave out the second and the next one end all.

    What ended the first training was the first signal.
    """
    try:
        with stop_on_signals() as stop:
            stop.requested |= history.interrupted
            yield stop
    except KeyboardInterrupt:
        if folder is not None:
            folder.end("unfinished", "stopped before the bundle was written", keep=True)
            say(f"there is no bundle yet; --resume goes on with {folder.path}")
        raise


def learning_rates(
    parts: Parts,
    config: TrainingConfig,
    registry: Registry,
    *,
    say: Callable[[str], None],
    threads: int = 1,
    device: str = "cpu",
) -> list[Point]:
    """Return the curve of :func:`sortgate_training.finder.find_rate` for what :func:`train_bundle` would train.

    Raises:
        DataError: no text is left after the text path.
        TrainingError: the loss is no number from the start.
    """
    where = choose_device(device)
    start = begin(parts, config, registry, where, threads, say)
    return find_rate(start.recurrent, start.batches, start.loss, config, where)


def with_metric(config: TrainingConfig, *, sets: bool) -> TrainingConfig:
    """Return the configuration with the metric that ``auto`` stands for where texts have sets of labels.

    They are thresholded one by one, which the loss knows nothing of.
    """
    return replace(config, metric="macro_f1") if sets and config.metric == "auto" else config


def ask_teachers(
    teaching: Teaching, parts: Parts, labels: list[str], folder: RunFolder | None, say: Callable[[str], None]
) -> npt.NDArray[np.float32]:
    """Return what they say of the training texts and then of those without labels, or what an unfinished run kept."""
    texts = [*parts.train.texts, *(teaching.unlabelled.texts if teaching.unlabelled else ())]
    kept = None if folder is None else folder.load_taught((len(texts), len(labels)))
    return teaching.probabilities(texts, labels, say) if kept is None else kept


def fit_tables(
    learned: EncodedTexts,
    judged: EncodedTexts,
    vocabulary: Vocabulary,
    labels: int,
    config: TrainingConfig,
    folder: RunFolder | None,
    say: Callable[[str], None],
) -> NgramTables | None:
    """Return the n-gram path, that of the interrupted run where it was kept; None without one."""
    if not config.ngrams.enabled:
        return None
    if folder is not None and (kept := folder.load_ngrams()) is not None:
        return kept
    say("n-gram path: fitting words, pairs of words and characters")
    return fit_ngrams(learned, judged, vocabulary, labels, config.ngrams)

"""Sortgate's side: classifiers with the shapes of presets, made as ``sortgate train`` makes them but hardly trained.

Text path, vocabulary and n-gram tables come from all training texts, so that their sizes are real; the n-gram path
takes one step of its optimiser, the network one pass over a few texts. Paths and tables are made once for all networks.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
import torch
from contestant import Contestant
from msgspec.structs import replace

from sortgate import Classifier, Prediction
from sortgate.bundle import Manifest, ModelInfo
from sortgate.encoded import Encoded
from sortgate.inference.session import FloatArray
from sortgate.plugins import create_registry
from sortgate_training.averaging import WeightAverage
from sortgate_training.begin import Prepared, begin, prepare
from sortgate_training.config import TrainingConfig
from sortgate_training.data import Corpus
from sortgate_training.encoding import encode_part
from sortgate_training.export import export_graph
from sortgate_training.joining import weigh_and_join
from sortgate_training.loading import load_config
from sortgate_training.model import HybridClassifier
from sortgate_training.nodes import OPSET
from sortgate_training.objective import Optimizer
from sortgate_training.parallel import SideBySide
from sortgate_training.precision import quantize
from sortgate_training.run import fit_tables
from sortgate_training.split import Parts
from sortgate_training.step import Step
from sortgate_training.tables import NgramTables

#: Texts that a network learns from, and texts that weigh its two paths.
LEARNED, JUDGED = 2_000, 1_000
BATCH = 64


def configure(preset: str, settings: Sequence[str] = ()) -> TrainingConfig:
    """Return a preset's configuration, over which ``key=value`` settings win."""
    return load_config(None, ["ngrams.iterations=1", *settings], {"preset": preset})


class Workshop:
    """Makes classifiers from the training texts ``corpus``."""

    def __init__(self, corpus: Corpus) -> None:
        judged = corpus.select(range(min(JUDGED, len(corpus))), corpus.source)
        self._parts = Parts(corpus, judged, corpus.select([], corpus.source))
        self._registry = create_registry()
        self._prepared: dict[bytes, Prepared] = {}
        self._tables: dict[bytes, NgramTables | None] = {}

    def contestants(self, name: str, config: TrainingConfig, *, int8: bool) -> list[Contestant]:
        """Return the float32 row of a configuration and, where there is such a model, the int8 row."""
        found = self.prepared(config)
        torch.manual_seed(config.seed)
        start = begin(
            self._parts, config, self._registry, torch.device("cpu"), os.cpu_count() or 1, _ignore, prepared=found
        )
        _, judged = encode_part(found.path, self._parts.validation, found.labels, _ignore)
        key = msgspec.json.encode((config.text, config.limits, config.vocabulary, config.ngrams))
        if key not in self._tables:
            self._tables[key] = fit_tables(
                found.learned, judged, found.vocabulary, len(found.labels), config, None, _ignore
            )
        average = WeightAverage(start.recurrent, 0.0)
        with SideBySide() as sides:
            optimizer = Optimizer(config.optimizer, start.recurrent)
            step = Step(start.recurrent.train(), start.loss, optimizer, lambda _: 1.0, average, sides=sides)
            few = min(LEARNED, len(found.learned))
            for first in range(0, few, BATCH):
                step(found.learned.batch(range(first, min(first + BATCH, few))), 1)
        start.recurrent.eval()
        tables = self._tables[key]
        module = HybridClassifier(start.recurrent)
        if tables is not None:
            module, _ = weigh_and_join(start.recurrent, tables, judged, None, _ignore)
        graph = export_graph(module)
        manifest = Manifest(
            name="budget",
            labels=found.labels,
            text=found.path.records(self._registry),
            limits=config.limits,
            model=ModelInfo(cell=config.model.cell, opset=OPSET),
        )
        shape = (config.model.hidden, config.model.embedding)
        rows = [_contestant(name, Classifier.from_parts(found.path, graph.SerializeToString(), manifest), *shape)]
        if int8 and config.model.cell == "lstm":
            manifest = replace(manifest, model=replace(manifest.model, precision="int8"))
            rows.append(_contestant(name, Classifier.from_parts(found.path, quantize(graph), manifest), *shape))
        return rows

    def prepared(self, config: TrainingConfig) -> Prepared:
        """Return the fitted text path, the vocabulary and the training texts' ids."""
        key = msgspec.json.encode((config.text, config.limits, config.vocabulary))
        if key not in self._prepared:
            self._prepared[key] = prepare(self._parts, config, self._registry, _ignore)
        return self._prepared[key]


def bundle_contestant(path: Path) -> Contestant:
    """Return the row of a bundle that there is already."""
    classifier = Classifier.load(path)
    model = classifier.manifest.training.get("model", {})
    return _contestant(
        f"bundle {classifier.model_name}", classifier, model.get("hidden", "?"), model.get("embedding", "?")
    )


def _contestant(name: str, classifier: Classifier, hidden: int | str, embedding: int | str) -> Contestant:
    shape = f"{hidden}/{embedding}"
    precision = classifier.manifest.model.precision
    path = classifier.text_path

    def answer(encoded: Sequence[Encoded], logits: FloatArray) -> list[Prediction]:
        return path.postprocess(classifier.scorer.predict(logits, [item.truncated for item in encoded]))

    return Contestant(name, shape, precision, classifier, path.encode, classifier.logits, answer)


def _ignore(_: str) -> None:
    """Say nothing: figures of a model that is hardly trained would mislead."""

"""The end of a run: figures of the classifier that will be served, golden texts, report, and the bundle's folder."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from sortgate.bundle import Manifest, write_bundle
from sortgate.inference import Classifier
from sortgate.inference.golden import make_golden
from sortgate.inference.session import Session
from sortgate.plugins import Registry
from sortgate.textpath import TextPath
from sortgate.vocabulary import Vocabulary
from sortgate_training.config import TrainingConfig
from sortgate_training.data import Corpus
from sortgate_training.loop import History
from sortgate_training.metrics import Metrics, measure
from sortgate_training.precision import Chosen
from sortgate_training.report import render_report
from sortgate_training.split import Parts

GOLDEN_TEXTS = 24
#: Longer texts would make every start of a worker slower.
GOLDEN_CHARACTERS = 2_000
#: What no data set has, but what another version of a library may treat otherwise.
GOLDEN_EDGES = (
    "",
    "a",
    "Ünï cödé ﬁne ２０２６ 例え 😀\u200d💻 ' \" <b>&amp;</b>",
    "see https://a.example/b or c@d.example 12,345.67",
)

_LIBRARIES = ("sortgate", "sortgate-training", "torch", "onnx", "onnxruntime", "numpy")


@dataclass(frozen=True)
class Fitted:
    """Everything that a run has made: ``parity`` is the largest logit difference between PyTorch and ONNX Runtime."""

    path: TextPath
    vocabulary: Vocabulary
    registry: Registry
    labels: list[str]
    history: History
    temperature: float
    parity: float
    chosen: Chosen


@dataclass(frozen=True)
class Trained:
    """What a run came to; ``judged_on`` names the part that ``metrics`` are of."""

    bundle: Path
    manifest: Manifest
    metrics: Metrics
    judged_on: str
    history: History
    parity: float


def finish(out: Path, parts: Parts, config: TrainingConfig, fitted: Fitted, threads: int) -> Trained:
    """Judge the classifier as it will be served, and write the bundle.

    Raises:
        BundleError: the bundle cannot be written; nothing of it is left.
    """
    path, chosen = fitted.path, fitted.chosen
    manifest = Manifest(
        name=out.name,
        labels=fitted.labels,
        text=path.records(fitted.registry),
        limits=config.limits,
        model=chosen.info,
        temperature=fitted.temperature,
        data={name: _facts(part) for name, part in parts.items()},
        training=config.to_dict(),
        provided_by={"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}},
    )
    classifier = Classifier(path, Session(chosen.model, threads), manifest)
    judged_on = "test" if len(parts.test) else "validation"
    judged = parts.test if len(parts.test) else parts.validation
    answers = classifier(judged.texts)
    metrics = measure(judged.labels, [answer.label for answer in answers], fitted.labels)
    notes = [note for part in (parts.train, parts.validation, parts.test) for note in part.notes]
    notes += [words for words in (fitted.history.divergence(), fitted.history.overfitting(), chosen.reason) if words]
    figures = {
        judged_on: metrics.to_dict(),
        "history": msgspec.to_builtins(fitted.history),
        "parity": fitted.parity,
        "notes": notes,
    }
    manifest = msgspec.structs.replace(manifest, metrics=figures)
    facts: dict[str, Any] = {
        "training, validation and test texts": ", ".join(str(len(part)) for _, part in parts.items()),
        "vocabulary": len(fitted.vocabulary),
        "cell": chosen.info.cell,
        "precision": chosen.info.precision,
        "largest logit difference between PyTorch and ONNX Runtime": f"{fitted.parity:.2g}",
        "temperature": fitted.temperature,
        "seed": config.seed,
    }
    files = {
        manifest.model.file: chosen.model,
        manifest.vocabulary: fitted.vocabulary.to_bytes(),
        manifest.golden: make_golden(Classifier(path, Session(chosen.model), manifest), golden_texts(judged.texts)),
        "report.html": render_report(out.name, metrics, judged_on, fitted.history, facts, notes),
        **path.states(),
    }
    bundle = write_bundle(out, manifest, files)
    return Trained(bundle, manifest, metrics, judged_on, fitted.history, fitted.parity)


def golden_texts(texts: Sequence[str]) -> list[str]:
    """Return texts of many lengths, the shortest and a long one among them, and edge cases that no data set has."""
    by_length = sorted({text for text in texts if len(text) <= GOLDEN_CHARACTERS}, key=lambda text: (len(text), text))
    last = len(by_length) - 1
    chosen = (
        {by_length[round(last * step / (GOLDEN_TEXTS - 1))]: None for step in range(GOLDEN_TEXTS)} if by_length else {}
    )
    return [*chosen, *GOLDEN_EDGES]


def _facts(part: Corpus) -> dict[str, Any]:
    return {
        **part.facts,
        "source": part.source,
        "texts": len(part),
        "labels": dict(sorted(Counter(part.labels).items())),
    }

"""The end of a run: figures of the classifier that will be served, golden texts, report, and the bundle's folder."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from sortgate.bundle import Manifest, write_bundle
from sortgate.inference import Classifier
from sortgate.inference.golden import make_golden
from sortgate.plugins import ComponentSpec, Registry
from sortgate.textpath import TextPath
from sortgate.vocabulary import Vocabulary
from sortgate_training.config import TrainingConfig
from sortgate_training.data import Corpus
from sortgate_training.history import History
from sortgate_training.interrupt import at_once
from sortgate_training.metrics import Metrics
from sortgate_training.precision import Chosen
from sortgate_training.report.baselines import Baseline, skipping, train_baselines
from sortgate_training.report.card import render_card
from sortgate_training.report.figures import calibrate, figures_of
from sortgate_training.report.judged import judge_corpus, texts_per_second
from sortgate_training.report.page import Subject, render_report
from sortgate_training.report.rare import adjust
from sortgate_training.report.truncation import truncation_of
from sortgate_training.split import Parts
from sortgate_training.thresholds import parse_goal

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

#: What scores mean with logit adjustment.
ADJUSTED_SCORES = (
    "loss.logit_adjustment: scores are for labels that are more equally frequent than in the training texts; "
    "where texts have their shares of labels, scores of frequent labels are too low"
)

_LIBRARIES = ("sortgate", "sortgate-training", "torch", "onnx", "onnxruntime", "numpy")


@dataclass(frozen=True)
class Fitted:
    """Everything that a run has made.

    Attributes:
        parity: the largest logit difference between PyTorch and ONNX Runtime.
        shift: what training took off the logits (:func:`sortgate_training.imbalance.prior_shift`).
        record: what the bundle keeps of further sources, such as teachers, by kind.
        more: further texts that were learned from.
        learned: how many texts were learned from in the second training; 0 in the first.
        further: epochs of the second training, likewise.
        notes: why there was no second training, where that needs to be said.
    """

    path: TextPath
    vocabulary: Vocabulary
    registry: Registry
    labels: list[str]
    history: History
    temperature: float
    parity: float
    chosen: Chosen
    shift: npt.NDArray[np.float32] | None = None
    record: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Corpus] = field(default_factory=dict)
    learned: int = 0
    further: int = 0
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Trained:
    """What a run came to; ``judged_on`` names the part that ``metrics`` are of."""

    bundle: Path
    manifest: Manifest
    metrics: Metrics
    judged_on: str
    history: History
    parity: float


def finish(
    out: Path,
    parts: Parts,
    config: TrainingConfig,
    fitted: Fitted,
    threads: int,
    *,
    refitted: Fitted | None = None,
    say: Callable[[str], None],
    command: str = "",
    hurried: bool = False,
) -> Trained:
    """Judge the classifier as it will be served, beside its baselines, and write the bundle.

    Where it was ``refitted`` from the validation texts, too, ``fitted`` is what these judge. ``hurried`` leaves the
    baselines out, unless the configuration insists on them.

    Raises:
        BundleError: the bundle cannot be written; nothing of it is left.
    """
    served = refitted or fitted
    path, chosen = _abstaining(served, config), served.chosen
    manifest = _manifest(out.name, parts, config, served, path)
    classifier = first = Classifier.from_parts(path, chosen.model, manifest, threads=threads)
    if refitted is not None:
        unseen = _abstaining(fitted, config)
        before = _manifest(out.name, parts, config, fitted, unseen)
        first = Classifier.from_parts(unseen, fitted.chosen.model, before, threads=threads)
    judged_on = "test" if len(parts.test) else "validation"
    part = parts.test if len(parts.test) else parts.validation
    judged = judge_corpus(classifier if len(parts.test) else first, part)
    validation = judge_corpus(first, parts.validation) if len(parts.test) else None
    notes = [note for corpus in (parts.train, parts.validation, parts.test) for note in corpus.notes]
    truncation = truncation_of(validation or judged, config.limits)
    if truncation is not None:
        say(cost := truncation.describe("validation", "accuracy" if judged.sets is None else "exact match"))
        notes.append(cost)
    notes += [
        words
        for words in (
            fitted.history.diverged and fitted.history.stopped,
            fitted.history.overfitting(),
            *fitted.chosen.cut.notes,
            chosen.reason,
            fitted.shift is not None and ADJUSTED_SCORES,
            *fitted.notes,
            refitted is not None and _refit_note(refitted, judged_on),
        )
        if words
    ]
    counts = parts.train.counts()
    adjusted = adjust(validation or judged, counts, fitted.temperature, fitted.shift) if judged.sets is None else []

    # what is judged here has learned from the validation texts
    again = refitted is not None and len(parts.test) > 0
    rivals, missing = _rivals(parts, part.texts, config, hurried, say, again=again)
    if missing:
        say(missing)
        notes.append(missing)
    figures = figures_of(judged, rivals, calibrate(judged, fitted.temperature, validation or judged))
    if figures.rivals:
        say(figures.verdict())
    single = Classifier.from_parts(path, chosen.model, manifest)
    files = {
        manifest.model.file: chosen.model,
        manifest.vocabulary: served.vocabulary.to_bytes(),
        manifest.golden: make_golden(single, golden_texts(part.texts)),
        **path.states(),
    }
    subject = Subject(
        out.name,
        judged_on,
        figures,
        judged,
        fitted.temperature,
        examples=config.report.examples,
        validation=validation,
        history=fitted.history,
        multi_label=judged.sets is not None,
        learned=parts.together().counts() if again else counts,
        speed=texts_per_second(single, part.texts),
        size=sum(map(len, files.values())),
        notes=notes,
        facts=_about(manifest, served, command),
        data=manifest.data,
        adjusted=adjusted,
        logit_adjustment=config.loss.logit_adjustment,
        favours=config.favours(),
    )
    kept = {
        judged_on: figures.metrics.to_dict(),
        **figures.to_dict(),
        "texts_per_s": subject.speed,
        "history": msgspec.to_builtins(fitted.history),
        "parity": served.parity,
        "notes": notes,
        **({"logit_adjustment": [row._asdict() for row in adjusted]} if adjusted else {}),
    }
    if chosen.facts:
        kept["precision"] = {"served": chosen.info.precision, "reason": chosen.reason, **chosen.facts}
    if refitted is not None:
        kept["refit"] = {"texts": refitted.learned, "epochs": refitted.further}
    if truncation is not None:
        kept["truncation"] = truncation.to_dict()
    manifest = msgspec.structs.replace(manifest, metrics=kept)
    files |= {"report.html": render_report(subject), "card.md": render_card(subject, manifest)}
    bundle = write_bundle(out, manifest, files)
    return Trained(bundle, manifest, figures.metrics, judged_on, fitted.history, served.parity)


def _manifest(name: str, parts: Parts, config: TrainingConfig, fitted: Fitted, path: TextPath) -> Manifest:
    """Return everything but the figures."""
    return Manifest(
        name=name,
        task=parts.train.task,
        labels=fitted.labels,
        thresholds=fitted.chosen.cut.thresholds or {},
        text=path.records(fitted.registry),
        limits=config.limits,
        model=fitted.chosen.info,
        temperature=fitted.temperature,
        data={name: _facts(part) for name, part in (*parts.items(), *fitted.more.items())},
        training={**config.to_dict(), **fitted.record},
        provided_by={"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}},
    )


def _refit_note(refitted: Fitted, judged_on: str) -> str:
    which = "figures of validation texts" if judged_on == "test" else "all figures"
    if refitted.chosen.info.precision == "int8":
        which += ", and what int8 changes,"
    return (
        f"when everything was chosen, the classifier was trained on with {refitted.learned:,} training and "
        f"validation texts; {which} are of the one before, which had not seen them"
    )


def _rivals(
    parts: Parts, texts: Sequence[str], config: TrainingConfig, hurried: bool, say: Callable[[str], None],
    *, again: bool,
) -> tuple[list[Baseline], str]:  # fmt: skip
    """Return the baselines' answers, and a sentence on what is missing; ``again``: the validation texts taught, too."""
    train, validation = parts.train, parts.validation
    if hurried and config.report.baselines == "auto":
        return [], "no baselines were trained within the time budget; report.baselines=true trains them all the same"
    learned, several = train, train.sets is not None
    # where a text may have several labels, thresholds are chosen on the validation texts, before these teach
    if len(parts.test) and not several:
        learned = parts.together()
    reason = skipping(config.report.baselines, learned.texts, len(learned.counts()), several=several)
    if reason:
        return [], reason
    say("baselines: training TF-IDF with linear SVMs on the same texts")
    with at_once():  # Ctrl-C leaves them out
        if several:
            goal, held_out = parse_goal(config.thresholds.goal), parts.further() if again else validation
            return train_baselines(learned, texts, say, held_out=held_out, goal=goal, again=again)
        return train_baselines(learned, texts, say)


def _about(manifest: Manifest, fitted: Fitted, command: str) -> dict[str, object]:
    """Return the facts that the report lists."""
    facts: dict[str, object] = {"command": command} if command else {}
    for name, found in fitted.record.items():
        entries = found if isinstance(found, list) else [found]
        facts[name] = "; ".join(", ".join(f"{key} {value}" for key, value in entry.items()) for entry in entries)
    return {
        **facts,
        "vocabulary": f"{len(fitted.vocabulary):,}",
        "cell": manifest.model.cell,
        "precision": manifest.model.precision,
        "temperature": manifest.temperature,
        "seed": manifest.training["seed"],
        "largest logit difference between PyTorch and ONNX Runtime": f"{fitted.parity:.2g}",
        **manifest.provided_by,
    }


def _abstaining(fitted: Fitted, config: TrainingConfig) -> TextPath:
    """Return the text path, which abstains before anything else is done to labels, since that is what was measured."""
    if fitted.chosen.cut.abstain is None:
        return fitted.path
    threshold = ComponentSpec("sortgate.threshold.v1", {"default": fitted.chosen.cut.abstain})
    text = replace(config.text, postprocessors=[threshold, *config.text.postprocessors])
    fresh = TextPath.create(text, fitted.registry, config.limits)
    states = fitted.path.states(before_postprocessors=1)
    return TextPath.restore(fresh.records(fitted.registry), states, fitted.vocabulary, config.limits, fitted.registry)


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
        "labels": dict(sorted(part.counts().items())),
    }

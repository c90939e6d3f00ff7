"""What every run begins with: the text path fitted to the texts, and a network that knows nothing yet."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from msgspec.structs import replace

from sortgate.errors import ConfigurationError, DataError
from sortgate.plugins import Registry
from sortgate.textpath import TextPath
from sortgate.vocabulary import FIRST_ID, Vocabulary
from sortgate_training.batches import EncodedTexts, TrainingBatches
from sortgate_training.config import TrainingConfig
from sortgate_training.encoding import encode_part
from sortgate_training.imbalance import advise, check_task, describe_imbalance, prior_shift, sampling_rates
from sortgate_training.mixing import FloatArray
from sortgate_training.model import RecurrentClassifier
from sortgate_training.objective import Loss, create_loss, create_multi_label_loss
from sortgate_training.parallel import set_threads
from sortgate_training.pretrained import Pretrained, load_pretrained
from sortgate_training.readers.files import sha256_of
from sortgate_training.split import Parts
from sortgate_training.vectors import start_from_vectors


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """The fitted text path, and the texts learned from: what ``text``, ``limits`` and ``vocabulary`` decide.

    ``pretrained`` is the network of the file to start from, whose tokens are in the vocabulary.
    """

    path: TextPath
    vocabulary: Vocabulary
    labels: list[str]
    learned: EncodedTexts
    pretrained: Pretrained | None = None

    def counts(self) -> list[int]:
        """Return how many texts have each label."""
        targets, labels = self.learned.targets, len(self.labels)
        counts = targets.sum(axis=0) if targets.ndim == 2 else np.bincount(targets, minlength=labels)
        return [int(count) for count in counts]


@dataclass(frozen=True, kw_only=True)
class Start(Prepared):
    """What every run begins with: that, and a network that knows nothing.

    Attributes:
        shift: what logit adjustment takes off the network's logits, None for nothing.
        record: what the bundle keeps of further sources, such as word vectors.
    """

    batches: TrainingBatches
    recurrent: RecurrentClassifier
    loss: Loss
    shift: FloatArray | None
    record: dict[str, Any] = field(default_factory=dict)


def begin(
    parts: Parts,
    config: TrainingConfig,
    registry: Registry,
    where: torch.device,
    threads: int,
    say: Callable[[str], None],
    *,
    taught: bool = False,
    more: Sequence[str] = (),
    prepared: Prepared | None = None,
) -> Start:
    """Seed everything, prepare, unless that was done before, and create network and loss.

    ``taught`` leaves out advice that is not for distillation; ``more`` are texts without labels, of which the text path
    learns, too.

    Raises:
        DataError: no text, or none of a label, is left after the text path; or word vectors or a pretrained network
            cannot be used.
        ConfigurationError: a setting is for one label a text only; or these are of another shape.
        PluginError: a component of the text path is unknown or refuses its parameters.
    """
    set_threads(threads)
    sets = parts.train.sets is not None
    check_task(config, several=sets)
    torch.manual_seed(config.seed)
    found = prepare(parts, config, registry, say, more) if prepared is None else prepared
    path, vocabulary, labels, learned = found.path, found.vocabulary, found.labels, found.learned
    counts = found.counts()
    if (words := describe_imbalance(dict(zip(labels, counts, strict=True)))) and not config.favours() and not taught:
        say(f"{words}: {advise(several=sets)}")
    batches = batches_of(learned, config, sampling_rates(config.sampling, learned.targets, counts))
    tokens = vocabulary if config.model.characters else None
    recurrent = RecurrentClassifier(config.model, len(vocabulary), len(labels), tokens)
    if sets:
        start_at_frequencies(recurrent, counts, len(learned))
        loss = create_multi_label_loss(config.loss, labels, counts, len(learned), where)
    else:
        loss = create_loss(config.loss, labels, counts, where)
    record = {}
    if config.model.vectors:
        vectors = Path(config.model.vectors)
        record["vectors"] = start_from_vectors(recurrent.embedding, vectors, vocabulary, learned, say)
    if found.pretrained is not None:
        record["pretrained"] = found.pretrained.put_into(recurrent, vocabulary, learned, say)
    return Start(
        path=path,
        vocabulary=vocabulary,
        labels=labels,
        learned=learned,
        pretrained=found.pretrained,
        batches=batches,
        recurrent=recurrent.to(where),
        loss=loss,
        shift=prior_shift(config.loss.logit_adjustment, counts),
        record=record,
    )


def prepare(
    parts: Parts, config: TrainingConfig, registry: Registry, say: Callable[[str], None], more: Sequence[str] = ()
) -> Prepared:
    """Fit the text path, also to ``more``, and encode the texts to learn from.

    Raises:
        DataError: no text, or none of a label, is left after the text path.
        PluginError: a component of the text path is unknown or refuses its parameters.
    """
    path = TextPath.create(config.text, registry, config.limits)
    path.fit([*parts.train.texts, *more], min_count=config.vocabulary.min_count, max_size=config.vocabulary.max_size)
    path.fit_labelled(parts.train.texts, parts.train.label_sets)
    vocabulary = cast("Vocabulary", path.vocabulary)  # fit has built it
    pretrained = None
    if config.model.pretrained:
        pretrained = load_pretrained(Path(config.model.pretrained), config)
        path.vocabulary = vocabulary = pretrained.merged(vocabulary, config.vocabulary.max_size)
    labels = sorted(parts.train.counts())
    _, learned = encode_part(path, parts.train, labels, say)
    prepared = Prepared(path=path, vocabulary=vocabulary, labels=labels, learned=learned, pretrained=pretrained)
    if 0 in (counts := prepared.counts()):
        label = labels[counts.index(0)]
        raise DataError(f"{parts.train.source}: no text of label {label!r} is left after normalizing and tokenizing")
    if len(vocabulary) == FIRST_ID:
        raise DataError(
            f"{parts.train.source}: no token occurs {config.vocabulary.min_count} times; lower vocabulary.min_count"
        )
    return prepared


def batches_of(
    texts: EncodedTexts, config: TrainingConfig, rates: npt.NDArray[np.float64] | None = None
) -> TrainingBatches:
    """Return the texts as the batches that the configuration bounds, in the order that its seed decides."""
    bounds = {"batch_size": config.batch_size, "batch_tokens": config.batch_tokens}
    return TrainingBatches(texts, seed=config.seed, rates=rates, **bounds)


def named(config: TrainingConfig) -> tuple[TrainingConfig, dict[str, str]]:
    """Return the configuration with names of files in place of their paths, for what is kept, and the files' digests.

    Raises:
        DataError: a file cannot be read.
    """
    digests = {}
    for key in ("vectors", "pretrained"):
        if file := getattr(config.model, key):
            digests[key] = sha256_of(Path(file))
            config = replace(config, model=replace(config.model, **{key: Path(file).name}))
    return config, digests


def start_at_frequencies(module: RecurrentClassifier, counts: list[int], texts: int) -> None:
    """Set the output's bias to the log-odds of each label, or the first steps learn nothing else (Lin et al. 2017)."""
    with torch.no_grad():
        module.output.bias.copy_(torch.tensor([math.log((count + 1) / (texts - count + 1)) for count in counts]))


def choose_device(name: str) -> torch.device:
    """Return the device to train on.

    Raises:
        ConfigurationError: ``cuda`` without any.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise ConfigurationError("--device cuda: this PyTorch sees no CUDA device; take --device cpu")
    return torch.device("cuda" if name != "cpu" and available else "cpu")

"""The file of a pretrained network, NumPy arrays and JSON without pickle: ``pretrain`` writes it, ``train`` reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import torch

from sortgate.errors import BundleFormatError, ConfigurationError, DataError
from sortgate.textconfig import TextConfig
from sortgate.vocabulary import Vocabulary
from sortgate_training.batches import EncodedTexts
from sortgate_training.carrying import Learned
from sortgate_training.checkpoint import read_arrays, write_arrays
from sortgate_training.config import ModelConfig, TrainingConfig
from sortgate_training.embedding import TokenEmbedding
from sortgate_training.model import RecurrentClassifier
from sortgate_training.readers.files import sha256_of
from sortgate_training.vectors import coverage

KIND = "pretrained network"
_EMBEDDING = "embedding."
_WORDS, _NGRAMS = f"{_EMBEDDING}words.weight", f"{_EMBEDDING}ngrams.weight"
#: What both sides must agree on.
_SHAPE = ("cell", "hidden", "embedding", "characters", "bidirectional")


@dataclass(frozen=True)
class Pretrained:
    """A file and what it holds."""

    path: Path
    sha256: str
    learned: Learned

    def merged(self, vocabulary: Vocabulary, most: int) -> Vocabulary:
        """Return the tokens of ``vocabulary`` and then the others that are known here, ``most`` ids at most."""
        others = [token for token in self.learned.vocabulary if token not in vocabulary]
        return Vocabulary([*vocabulary, *others[: max(0, most - len(vocabulary))]])

    def put_into(
        self, network: RecurrentClassifier, vocabulary: Vocabulary, learned: EncodedTexts, say: Callable[[str], None]
    ) -> dict[str, Any]:
        """Begin with what was learned; tokens that are new keep their random vectors. Returns what the bundle keeps.

        Raises:
            DataError: no token is known.
        """
        ids = self.learned.known(vocabulary)[:, 0]
        if not np.isin(learned.flat(), ids).any():
            raise DataError(
                f"{self.path}: none of the tokens of the training texts is known in it; "
                "is it of another language, or of another tokenizer?"
            )
        self.learned.put_into(network, vocabulary)
        return coverage(self.path, self.sha256, ids, vocabulary, learned, say)


def shapes_of(config: ModelConfig, size: int, ngrams: int) -> dict[str, tuple[int, ...]]:
    """Return the tensors that are pretrained, those of the token vectors and of the first layer, with their shapes."""
    gates = (4 if config.cell == "lstm" else 3) * config.hidden
    shapes: dict[str, tuple[int, ...]] = {_WORDS: (size, config.embedding)}
    if ngrams:
        shapes[_NGRAMS] = (ngrams, config.embedding)
    for number in range(2 if config.bidirectional else 1):
        shapes[f"rnns.{number}.weight_ih_l0"] = (gates, config.embedding)
        shapes[f"rnns.{number}.weight_hh_l0"] = (gates, config.hidden)
        shapes |= {f"rnns.{number}.{name}_l0": (gates,) for name in ("bias_ih", "bias_hh")}
    return shapes


def _tokenizing(text: TextConfig) -> dict[str, Any]:
    """Return the parts of a text path that decide on tokens, as plain values."""
    parts: dict[str, Any] = msgspec.to_builtins(text)
    return {name: parts[name] for name in ("normalizers", "tokenizer", "filters")}


def write_pretrained(
    path: Path, network: RecurrentClassifier, vocabulary: Vocabulary, text: TextConfig, facts: Mapping[str, Any]
) -> None:
    """Write the file, whole or not at all; ``text`` is what made tokens of texts.

    Raises:
        DataError: it cannot be written.
    """
    tensors = network.state_dict()
    arrays: dict[str, npt.NDArray[Any]] = {
        name: tensors[name].numpy() for name in shapes_of(network.config, len(vocabulary), len(network.embedding.names))
    }
    arrays["tokens"] = np.frombuffer(vocabulary.to_bytes(), dtype=np.uint8)
    arrays["ngrams"] = np.frombuffer(json.dumps(network.embedding.names).encode(), dtype=np.uint8)
    shape = {name: getattr(network.config, name) for name in _SHAPE}
    try:
        write_arrays(path, {"kind": KIND, "model": shape, "text": _tokenizing(text), **facts}, arrays)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from None


def load_pretrained(path: Path, config: TrainingConfig) -> Pretrained:
    """Read the file.

    Raises:
        DataError: it is missing, damaged, or no such file.
        ConfigurationError: the network was of another shape, or its tokens were made otherwise.
    """
    sha256 = sha256_of(path)  # says what is wrong with a path better than what reads arrays, too
    try:
        facts, arrays = read_arrays(path)
        if facts.get("kind") != KIND:
            raise DataError(f"{path}: not written by `sortgate pretrain`")
        vocabulary = Vocabulary.from_bytes(arrays["tokens"].tobytes())
        shape = dict(facts["model"])
        for name in _SHAPE:
            there, here = shape[name], getattr(config.model, name)
            if there != here:
                there, here = (str(value).lower() for value in (there, here))
                raise ConfigurationError(
                    f"{path}: pretrained with model.{name}={there}, which is {here} here: set model.{name}={there}"
                )
        before, now = facts["text"], _tokenizing(config.text)
        if different := [name for name in now if before[name] != now[name]]:
            raise ConfigurationError(
                f"{path}: pretrained with text.{different[0]} = {json.dumps(before[different[0]])}, which is "
                f"{json.dumps(now[different[0]])} here: give both the same text path"
            )
        ngrams = [str(ngram) for ngram in json.loads(arrays["ngrams"].tobytes())]
        shapes = shapes_of(config.model, len(vocabulary), len(ngrams))
        tensors = {name: torch.from_numpy(arrays[name]) for name in shapes}
    except (ValueError, KeyError, TypeError, BundleFormatError):
        raise DataError(f"{path}: damaged, or not written by `sortgate pretrain`") from None
    for name, tensor in tensors.items():
        if tensor.shape != shapes[name] or tensor.dtype != torch.float32 or not tensor.isfinite().all():
            raise DataError(f"{path}: damaged: {name} is not what it should be")
    embedding = TokenEmbedding(len(vocabulary), config.model.embedding, vocabulary, ngrams)
    embedding.load_state_dict(
        {name.removeprefix(_EMBEDDING): tensors.pop(name) for name in (_WORDS, _NGRAMS) if name in tensors}
    )
    return Pretrained(path, sha256, Learned(vocabulary, embedding, tensors))

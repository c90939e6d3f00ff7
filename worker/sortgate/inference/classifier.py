"""The classifier: a bundle's text path, its model and its label post-processors, behind one call."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from sortgate.bundle import Bundle, Manifest
from sortgate.errors import TextError
from sortgate.inference.batching import length_sorted
from sortgate.inference.session import FloatArray, Session
from sortgate.plugins import Registry, create_registry_for
from sortgate.settings import Settings
from sortgate.textpath import Encoded, TextPath
from sortgate.types import LabelScore, Prediction, PredictionError
from sortgate.vocabulary import Vocabulary

DEFAULT_THRESHOLD = 0.5


class Classifier:
    """Classifies texts with one bundle. Made by :meth:`load`; cannot be pickled or used across a fork.

    Attributes:
        manifest: the bundle's manifest.
        fingerprint: digest of the whole bundle.
        labels: in the order of the logits.
        model_name: ``name/version``.
        identities: every name under which a request may insist on this bundle.
    """

    def __init__(self, text_path: TextPath, session: Session, manifest: Manifest, fingerprint: str = "") -> None:
        self.text_path = text_path
        self.manifest = manifest
        self.fingerprint = fingerprint
        self.labels = manifest.labels
        self.model_name = f"{manifest.name}/{manifest.version}"
        self.identities = frozenset({manifest.version, fingerprint, self.model_name})
        self._session = session
        self._thresholds = np.array(
            [manifest.thresholds.get(label, DEFAULT_THRESHOLD) for label in manifest.labels], dtype=np.float32
        )

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        threads: int = 1,
        registry: Registry | None = None,
        golden: bool = True,
    ) -> Classifier:
        """Load a bundle: its version folder, or the folder of its versions (the newest is taken).

        Args:
            threads: threads a model call may use.
            registry: components to choose from; by default just the plugins that the manifest names.
            golden: replay the golden texts, so that a drifted library is noticed now and not in production.

        Raises:
            BundleError: missing, changed, unsafe, or its golden texts give other answers here.
            PluginError: a component it needs is missing or of another version; says what to install.
        """
        bundle = Bundle.open(path, verify=False)  # every file is read, and so verified, below
        manifest = bundle.manifest
        if registry is None:
            settings = Settings.from_env()
            registry = create_registry_for(manifest.text, plugins_dir=settings.plugins_dir, allow=settings.plugins)
        states = {record.state: bundle.read(record.state) for record in manifest.text if record.state}
        vocabulary = Vocabulary.from_bytes(bundle.read(manifest.vocabulary))
        text_path = TextPath.restore(manifest.text, states, vocabulary, manifest.limits, registry)
        session = Session(bundle.read(manifest.model.file), threads)
        classifier = cls(text_path, session, manifest, bundle.fingerprint)
        for name in manifest.files.keys() - {manifest.model.file, manifest.vocabulary, manifest.golden, *states}:
            bundle.read(name)
        data = bundle.read(manifest.golden)
        if golden:
            from sortgate.inference.golden import replay_golden

            replay_golden(classifier, data, where=str(bundle.path))
        return classifier

    def __call__(self, texts: Sequence[str]) -> list[Prediction]:
        """Return one prediction a text, in order; a text that fails has ``error`` set and its neighbours are served."""
        if isinstance(texts, str):
            raise TypeError("give a list of texts, not one str")
        encoded = self.text_path.encode(texts)
        good = [item for item in encoded if isinstance(item, Encoded)]
        made = iter(self._predict(good) if good else ())
        predictions = [next(made) if isinstance(item, Encoded) else _failed(item) for item in encoded]
        return self.text_path.postprocess(predictions)

    def logits(self, encoded: Sequence[Encoded], max_rows: int | None = None) -> FloatArray:
        """Return logits ``[texts, labels]``, computed in length-sorted sub-batches of at most ``max_rows``."""
        out = np.empty((len(encoded), len(self.labels)), dtype=np.float32)
        lengths = [len(item.ids) for item in encoded]
        for rows in length_sorted(lengths) if max_rows is None else length_sorted(lengths, max_rows):
            width = lengths[rows[-1]]
            ids = np.zeros((len(rows), width), dtype=np.int32)
            for row, index in enumerate(rows):
                ids[row, : lengths[index]] = encoded[index].ids
            out[rows] = self._session.run(ids, np.array([lengths[index] for index in rows], dtype=np.int32))
        return out

    def _predict(self, encoded: Sequence[Encoded]) -> list[Prediction]:
        scaled = self.logits(encoded) / np.float32(self.manifest.temperature)
        if self.manifest.task == "multi_label":
            return self._predict_multi_label(encoded, scaled)
        scores = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        scores /= scores.sum(axis=1, keepdims=True)
        order = np.argsort(-scores, axis=1, kind="stable").tolist()
        return [
            self._ranked([(self.labels[i], row[i]) for i in ranks], item)
            for row, ranks, item in zip(scores.tolist(), order, encoded, strict=True)
        ]

    def _predict_multi_label(self, encoded: Sequence[Encoded], scaled: FloatArray) -> list[Prediction]:
        scores = 1.0 / (1.0 + np.exp(-scaled))
        chosen = scores >= self._thresholds
        order = np.argsort(-scores, axis=1, kind="stable").tolist()
        return [
            self._ranked([(self.labels[i], row[i]) for i in ranks if kept[i]], item)
            for row, kept, ranks, item in zip(scores.tolist(), chosen, order, encoded, strict=True)
        ]

    @staticmethod
    def _ranked(pairs: list[tuple[str, float]], item: Encoded) -> Prediction:
        if not pairs:
            return Prediction(None, truncated=item.truncated)
        labels = tuple([LabelScore(label, score) for label, score in pairs])
        return Prediction(pairs[0][0], pairs[0][1], labels, truncated=item.truncated)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a classifier cannot be pickled: load the bundle where it is used")


def _failed(error: Any) -> Prediction:
    assert isinstance(error, TextError)
    return Prediction(None, error=PredictionError(error.code, str(error), getattr(error, "component", None)))

"""The classifier: a bundle's text path, its model and its label post-processors, behind one call."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from sortgate.bundle import Bundle, Manifest, Trust
from sortgate.encoded import Encoded
from sortgate.errors import BundleIntegrityError, TextError, UnsafeModelError
from sortgate.inference.batching import MAX_ROWS, length_sorted
from sortgate.inference.runtime import turn_off_telemetry
from sortgate.inference.scoring import Scorer
from sortgate.inference.session import FloatArray, Session
from sortgate.inference.sharing import Sharing
from sortgate.plugins import Registry, create_registry_for
from sortgate.settings import Settings
from sortgate.textpath import TextPath, describe
from sortgate.types import Prediction
from sortgate.vocabulary import Vocabulary

if TYPE_CHECKING:
    from sortgate.explain import Explanation, Method


@dataclass(slots=True)
class Spent:
    """What went through a classifier's model since it was made.

    Attributes:
        tokens: token ids, padding left out.
        ids: token ids, padding included.
        model_s: seconds in ONNX Runtime.
        shared: texts that did not go through it, since one with the same ids had.
    """

    tokens: int = 0
    ids: int = 0
    model_s: float = 0.0
    shared: int = 0

    def copy(self) -> Spent:
        """Return a copy that stays as it is."""
        return replace(self)


class Classifier:
    """Classifies texts with one bundle. Made by :meth:`load`; cannot be pickled, nor used across a fork once started.

    Attributes:
        manifest: the bundle's manifest.
        bundle: the opened bundle; None for one that is being made.
        fingerprint: digest of the whole bundle.
        labels: in the order of the logits.
        model_name: ``name/version``.
        identities: every name under which a request may insist on this bundle.
        text_path: texts to ids, and the label post-processors.
        threads: threads a model call may use.
        spent: what its model has been given so far, and the time that took.
        sharing: makes texts with the same ids go through the model once; None, the default, for each by itself.
    """

    def __init__(self, text_path: TextPath, session: Session, manifest: Manifest, bundle: Bundle | None = None) -> None:
        self.text_path = text_path
        self.session = session
        self.manifest = manifest
        self.bundle = bundle
        self.fingerprint = "" if bundle is None else bundle.fingerprint
        self.labels = tuple(manifest.labels)
        self.model_name = f"{manifest.name}/{manifest.version}"
        self.identities = frozenset({manifest.version, self.fingerprint, self.model_name} - {""})
        self.threads = session.threads
        self.scorer = Scorer(manifest)
        self.spent = Spent()
        self.sharing: Sharing | None = None
        self._check_parts()

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        threads: int | None = None,
        registry: Registry | None = None,
        verify: bool = True,
        golden: bool = True,
        trust: Trust | None = None,
        plugins_dir: Path | None = None,
        plugins_strict: bool | None = None,
    ) -> Classifier:
        """Load a bundle: its version folder, or the folder of its versions (the newest is taken).

        Args:
            path: the bundle.
            threads: threads a model call may use; 1 by default, which is best in a pool of processes.
            registry: components to choose from; by default just the plugins that the manifest and
                ``SORTGATE_PLUGINS`` name, those in ``SORTGATE_PLUGINS_DIR`` included.
            verify: also compare files with their digests that are not needed to classify (a report, say).
            golden: replay the golden texts, so that a drifted library is noticed now and not in production.
                Without, ONNX Runtime is started by the first call, which may then be in a forked child.
            trust: whose signature is needed, ``Trust.of("release.key.pub")`` for example; by default what
                ``SORTGATE_TRUSTED_KEYS`` says.
            plugins_dir: folder of one-file plugins, by default ``SORTGATE_PLUGINS_DIR``; not with ``registry``.
            plugins_strict: likewise, of ``SORTGATE_PLUGINS_STRICT``.

        Raises:
            BundleError: missing, changed, unsafe, not signed by a trusted key, or its golden texts give other answers
                here.
            PluginError: a component it needs is missing or of another version; says what to install.
        """
        turn_off_telemetry()
        bundle = Bundle.open(path, verify=False, trust=trust)  # read() compares each file that is used
        manifest = bundle.manifest
        if registry is None:
            settings = Settings.from_env(plugins_dir=plugins_dir, plugins_strict=plugins_strict)
            registry = create_registry_for(manifest.text, **settings.plugin_options())
        states = {record.state: bundle.read(record.state) for record in manifest.text if record.state}
        vocabulary = Vocabulary.from_bytes(bundle.read(manifest.vocabulary))
        text_path = TextPath.restore(manifest.text, states, vocabulary, manifest.limits, registry)
        model = bundle.read(manifest.model.file)
        try:
            session = Session(model, threads)
        except UnsafeModelError as error:
            raise UnsafeModelError(f"{bundle.path / manifest.model.file}: {error}") from None
        classifier = cls(text_path, session, manifest, bundle)
        if verify:
            for name in manifest.files.keys() - {manifest.model.file, manifest.vocabulary, manifest.golden, *states}:
                bundle.read(name)
        if verify or golden:
            answers = bundle.read(manifest.golden)
        if golden:
            from sortgate.inference.golden import replay_golden

            replay_golden(classifier, answers, where=str(bundle.path / manifest.golden))
        return classifier

    @classmethod
    def from_parts(
        cls, text_path: TextPath, model: bytes, manifest: Manifest, *, threads: int | None = None
    ) -> Classifier:
        """Make a classifier that is no bundle yet, to compute golden texts and to compare with the trained model.

        ``manifest`` may lack version and digests.
        """
        return cls(text_path, Session(model, threads), manifest)

    def __call__(self, texts: Sequence[str]) -> list[Prediction]:
        """Return one prediction a text, in order; a text that fails has ``error`` set and its neighbours are served.

        Raises:
            TypeError: ``texts`` is a single string.
            SortgateError: the classifier was started before a fork, or ONNX Runtime failed.
        """
        if isinstance(texts, str):
            raise TypeError("give a list of texts, not a single string")
        return self.predict(self.text_path.encode(texts))

    def predict(self, encoded: Sequence[Encoded | TextError]) -> list[Prediction]:
        """Return the predictions for texts that ``text_path.encode`` has turned into ids."""
        good = [item for item in encoded if isinstance(item, Encoded)]
        if not good:
            return [_failed(item) for item in encoded if isinstance(item, TextError)]
        if self.sharing is None:
            logits = self.logits(good)
        else:
            logits, shared = self.sharing.logits(good, self.logits)
            self.spent.shared += shared
        made = self.scorer.predict(logits, [item.truncated for item in good])
        made = self.text_path.postprocess(made, good)
        if len(good) == len(encoded):
            return made
        rest = iter(made)
        return [next(rest) if isinstance(item, Encoded) else _failed(item) for item in encoded]

    def explain(self, text: str, *, method: Method = "both", label: str | None = None) -> Explanation:
        """Say how the answer to one text comes about; see :func:`sortgate.explain.explain`."""
        from sortgate.explain import explain  # answering needs none of it

        return explain(self, text, method=method, label=label)

    def logits(self, encoded: Sequence[Encoded], max_rows: int = MAX_ROWS) -> FloatArray:
        """Return logits ``[texts, labels]``, not yet divided by the temperature.

        Computed in length-sorted sub-batches of at most ``max_rows`` texts.
        """
        lengths = list(map(len, encoded))
        out = np.empty((len(encoded), len(self.labels)), dtype=np.float32)
        run, spent = self.session.run, self.spent
        for rows in length_sorted(lengths, max_rows):
            sizes = np.array([lengths[index] for index in rows], dtype=np.int32)
            # one conversion and one masked copy a sub-batch instead of one a text
            flat = np.frombuffer(b"".join([encoded[index].packed for index in rows]), dtype=np.int32)
            ids = np.zeros((len(rows), lengths[rows[-1]]), dtype=np.int32)
            ids[np.arange(ids.shape[1], dtype=np.int32) < sizes[:, None]] = flat
            started = time.perf_counter()
            out[rows] = run(ids, sizes)
            spent.model_s += time.perf_counter() - started
            spent.tokens += flat.size
            spent.ids += ids.size
        return out

    def _check_parts(self) -> None:
        """Refuse a model that does not fit its vocabulary or labels, before ONNX Runtime sees it."""
        facts = self.session.facts
        size = None if self.text_path.vocabulary is None else len(self.text_path.vocabulary)
        if facts.embedding_rows is not None and facts.embedding_rows != size:
            raise BundleIntegrityError(
                f"{self.model_name}: the vocabulary has {size} ids and the model {facts.embedding_rows}: "
                "they are not of one training; export the bundle again"
            )
        if facts.labels is not None and facts.labels != len(self.labels):
            raise BundleIntegrityError(
                f"{self.model_name}: the manifest has {len(self.labels)} labels and the model {facts.labels}: "
                "they are not of one training; export the bundle again"
            )

    def __repr__(self) -> str:
        return f"<Classifier {self.model_name} {self.fingerprint}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a classifier cannot be pickled: load the bundle where it is used")


def _failed(error: TextError) -> Prediction:
    return Prediction(None, error=describe(error))

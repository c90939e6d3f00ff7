"""A classifier with scikit-learn's interface, which trains and holds a bundle."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec
import numpy as np
from rich.console import Console
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from sortgate.bundle import ANYONE, Bundle, Manifest
from sortgate.errors import DataError
from sortgate.inference import Classifier
from sortgate.plugins import create_registry
from sortgate.settings import Settings
from sortgate_training.config import TrainingConfig
from sortgate_training.data import Corpus
from sortgate_training.estimator_data import KINDS, as_labels, as_texts, restore_classes
from sortgate_training.folders import add_version, pack_folder, unpack_folder
from sortgate_training.loading import known_keys, load_config
from sortgate_training.openmp import let_threads_sleep

if TYPE_CHECKING:
    from sortgate_training.history import History


class SortgateClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Trains on texts and labels; ``X`` is a list, an array or a Series of strings.

    A fitted one holds its bundle as bytes, so it can be copied and pickled; a bundle itself never contains pickle.
    Part of the texts is set aside to choose the epoch by (``split.validation``), none to judge by. A text that cannot
    be classified, such as an empty one, gets the labels' shares of the training texts as probabilities.

    Args:
        preset: ``fast``, ``balanced`` or ``max``.
        config: dotted key to value, such as ``{"model.cell": "gru"}``.
        epochs: passes over the texts at most; None leaves it to preset and config.
        random_state: a number, a generator, or None for the configuration's seed: runs are repeatable by default.
        threads: to compute with; keep 1 where joblib runs several at once.
        verbose: show progress and notes on stderr.

    Attributes:
        classes_: the labels, sorted, of the type that was passed.
        bundle_: files of the bundle by their names.
        history_: the epochs, None after :meth:`load`.
    """

    def __init__(
        self,
        *,
        preset: str = "balanced",
        config: Mapping[str, Any] | None = None,
        epochs: int | None = None,
        random_state: Any = None,
        threads: int = 1,
        verbose: bool = False,
    ) -> None:
        self.preset = preset
        self.config = config
        self.epochs = epochs
        self.random_state = random_state
        self.threads = threads
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803 - scikit-learn's name
        """Train.

        Raises:
            ValueError: the texts or labels are not of the right form, or nothing can be learned from them.
            ConfigurationError: a parameter is impossible.
            TrainingError: the loss diverged.
        """
        texts = as_texts(X)
        classes, labels = as_labels(y, len(texts))
        if len(classes) < 2:
            raise ValueError(f"SortgateClassifier needs at least two classes; there is 1 class, {classes[0]!r}")
        config = self._settled()
        settings = Settings.from_env()
        registry = create_registry(**settings.plugin_options())
        let_threads_sleep()
        from sortgate_training.progress import TrainingProgress
        from sortgate_training.run import train_bundle
        from sortgate_training.split import divide

        console = Console(stderr=True, quiet=not self.verbose)
        kept = [row for row, text in enumerate(texts) if text.strip()]
        facts = {"label_type": KINDS[classes.dtype.kind].__name__}
        corpus = Corpus([texts[row] for row in kept], [labels[row] for row in kept], "X", facts)

        def say(sentence: str) -> None:
            console.print(sentence, highlight=False, markup=False, soft_wrap=True)

        with tempfile.TemporaryDirectory(prefix="sortgate-") as folder:
            try:
                parts = divide(corpus, None, None, config.split, config.seed, say)
                trained = train_bundle(
                    Path(folder) / "classifier", parts, config, registry,
                    say=say, watch=lambda count, epochs: TrainingProgress(console, count, epochs), threads=self.threads,
                )  # fmt: skip
            except DataError as error:
                raise ValueError(str(error)) from None
            self.bundle_ = pack_folder(trained.bundle)
        self.history_: History | None = trained.history
        self._remember(classes, trained.manifest)
        return self

    def _settled(self) -> TrainingConfig:
        overrides = {"split.test": 0.0, **(self.config or {}), "preset": self.preset}
        if self.epochs is not None:
            overrides["epochs"] = self.epochs
        if isinstance(self.random_state, int | np.integer):
            overrides["seed"] = int(self.random_state)
        elif self.random_state is not None:
            overrides["seed"] = int(check_random_state(self.random_state).randint(2**31 - 1))
        config = load_config(overrides=overrides)
        if config.text.postprocessors:
            raise ValueError("text.postprocessors change labels and scores, which scikit-learn counts on")
        return config

    def _remember(self, classes: Any, manifest: Manifest) -> None:
        counts: dict[str, int] = manifest.data.get("train", {}).get("labels", {})
        self.classes_ = classes
        shares = np.array([counts.get(str(label), 1) for label in classes], dtype=np.float64)
        self.class_prior_ = shares / shares.sum()
        self._loaded: tuple[int, Classifier] | None = None

    def predict_proba(self, X: Any) -> Any:  # noqa: N803
        """Return the labels' probabilities ``[texts, classes_]``."""
        check_is_fitted(self, "bundle_")
        texts = as_texts(X)
        column = {str(label): number for number, label in enumerate(self.classes_)}
        chances = np.tile(self.class_prior_, (len(texts), 1))
        for row, prediction in enumerate(self._classifier()(texts)):
            for scored in prediction.labels:
                chances[row, column[scored.label]] = scored.score
        return chances

    def predict(self, X: Any) -> Any:  # noqa: N803
        """Return each text's most probable label."""
        chances = self.predict_proba(X)
        return self.classes_[chances.argmax(axis=1)]

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the bundle as a new version under ``path``, such as ``models/tickets``; return the version's folder.

        Raises:
            BundleError: it cannot be written, or its name is no bundle's name.
        """
        check_is_fitted(self, "bundle_")
        with tempfile.TemporaryDirectory(prefix="sortgate-") as folder:
            unpack_folder(self.bundle_, Path(folder) / "v")
            return add_version(Path(folder) / "v", Path(path).absolute())

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, threads: int = 1) -> Self:
        """Return a fitted classifier that holds the bundle at ``path``, whatever trained it.

        Raises:
            BundleError: there is none, or it is damaged.
            ValueError: its post-processors change labels and scores.
        """
        bundle = Bundle.open(path)
        manifest = bundle.manifest
        if manifest.text.postprocessors:
            raise ValueError(f"{path}: has post-processors, which change labels and scores that scikit-learn counts on")
        preset = manifest.training.get("preset", "balanced")
        made = cls(preset=preset, config=_flat(manifest.training), threads=threads)
        made.bundle_, made.history_ = pack_folder(bundle.path), None
        facts = manifest.data.get("train", {})
        classes = restore_classes(list(manifest.labels), str(facts.get("label_type", "str")))
        made._remember(classes, manifest)
        return made

    def _classifier(self) -> Classifier:
        """Return the loaded bundle; a process that was forked or that unpickled this loads its own."""
        if self._loaded is None or self._loaded[0] != os.getpid():
            with tempfile.TemporaryDirectory(prefix="sortgate-") as folder:
                unpack_folder(self.bundle_, Path(folder) / "v")
                loaded = Classifier.load(Path(folder) / "v", threads=self.threads, golden=False, trust=ANYONE)
                self._loaded = (os.getpid(), loaded)
        return self._loaded[1]

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "_loaded" in state:
            state["_loaded"] = None
        return state


def _flat(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of a manifest's configuration that differ from its preset's values, dotted."""
    usual = load_config(overrides={"preset": tables.get("preset")})
    defaults = msgspec.json.decode(msgspec.json.encode(usual.to_dict()))  # as the manifest has them: no tuples
    pairs = ((key, _at(tables, key), _at(defaults, key)) for key in known_keys())
    return {key: value for key, value, default in pairs if value is not None and value != default}


def _at(tables: Any, key: str) -> Any:
    for part in key.split("."):
        tables = tables.get(part) if isinstance(tables, Mapping) else None
    return tables

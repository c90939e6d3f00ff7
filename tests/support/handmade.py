"""Bundles around models made by hand, so that what these look at is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sortgate.bundle import Manifest, ModelInfo, write_bundle
from sortgate.inference import Classifier
from sortgate.inference.golden import make_golden
from sortgate.plugins import create_registry
from sortgate.textpath import TextConfig, TextLimits, TextPath

#: In the order of their ids, from 2 on.
WORDS = tuple(f"w{chr(97 + n)}" for n in range(16))


def load_bundle(
    folder: Path,
    model: bytes,
    *,
    labels: Sequence[str] = ("yes", "no"),
    config: TextConfig | None = None,
    limits: TextLimits | None = None,
    plugins_dir: Path | None = None,
    info: ModelInfo | None = None,
    cell: str = "lstm",
    **manifest: Any,
) -> Classifier:
    """Write a bundle of :data:`WORDS` around a model, and load it."""
    registry = create_registry(plugins_dir=plugins_dir)
    path = TextPath.create(config or TextConfig(), registry, limits)
    # one text a word less than the one before it: the more texts, the smaller the id
    path.fit([" ".join(WORDS[: n + 1]) for n in range(len(WORDS))], min_count=1)
    assert path.vocabulary is not None
    assert list(path.vocabulary) == list(WORDS)
    made = Manifest(
        name="hand",
        labels=list(labels),
        text=path.records(registry),
        model=info or ModelInfo(cell=cell),
        limits=path.limits,
        **manifest,
    )
    golden = make_golden(Classifier.from_parts(path, model, made), ["wa wb", "wc"])
    files = {"model.onnx": model, "vocabulary.txt": path.vocabulary.to_bytes(), "golden.jsonl": golden, **path.states()}
    return Classifier.load(write_bundle(folder / "hand", made, files), registry=registry)

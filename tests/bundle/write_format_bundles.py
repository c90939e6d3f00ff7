"""Writes the bundles of ``data/format-<n>`` with the code as it is now: run it before a format changes, then commit.

python tests/bundle/write_format_bundles.py tests/bundle/data/format-2
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from sortgate.bundle import Manifest, ModelInfo, write_bundle
from sortgate.inference import Classifier
from sortgate.inference.golden import make_golden
from sortgate.plugins import ComponentSpec, create_registry
from sortgate.textpath import TextConfig, TextLimits, TextPath
from sortgate_training.graph import random_model

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TEXTS = [
    "The printer on floor 3 is out of paper",
    "I cannot log in since Monday; please reset my password",
    "Who do I ask for a new monitor?",
    "密码不对",
    "mail bounces from https://example.org with error 550",
    "",
]
CONFIGS = {
    "words": TextConfig(
        normalizers=["sortgate.nfkc.v1", "sortgate.strip_html.v1", "sortgate.lowercase.v1", "sortgate.mask_urls.v1"],
        tokenizer="sortgate.words.v1",
        filters=[ComponentSpec("sortgate.stop_words.v1", {"words": ["the", "a"]})],
        postprocessors=[
            ComponentSpec("sortgate.threshold.v1", {"default": 0.2}),
            ComponentSpec("sortgate.top_k.v1", {"k": 2}),
        ],
    ),
    "subword": TextConfig(tokenizer=ComponentSpec("sortgate.bpe.v1", {"vocab_size": 300})),
}
LIMITS = {"words": TextLimits(max_tokens=6, truncation="head_tail"), "subword": TextLimits(max_tokens=50)}


def write(folder: Path, name: str, config: TextConfig) -> Path:
    """Write one bundle with a random model and return its version folder."""
    registry = create_registry()
    path = TextPath.create(config, registry, LIMITS[name])
    path.fit([text for text in TEXTS if text], min_count=1)
    assert path.vocabulary is not None
    cell = "lstm" if name == "words" else "gru"
    labels = ["hardware", "account", "other"]
    model = random_model(len(path.vocabulary), len(labels), hidden=4, embedding=4, cell=cell, seed=7)
    manifest = Manifest(
        name=name,
        labels=labels,
        text=path.records(registry),
        limits=path.limits,
        model=ModelInfo(cell=cell),
        temperature=1.5,
        task="multi_label" if name == "subword" else "single_label",
        thresholds={"other": 0.25} if name == "subword" else {},
        metrics={"accuracy": 0.5},
        data={"train": {"rows": 5}},
        training={"epochs": 0},
        provided_by={"sortgate": "0.1.0"},
    )
    golden = make_golden(Classifier.from_parts(path, model, manifest), TEXTS)
    files = {"model.onnx": model, "vocabulary.txt": path.vocabulary.to_bytes(), "golden.jsonl": golden, **path.states()}
    return write_bundle(folder / name, manifest, files, NOW)


if __name__ == "__main__":
    for name, config in CONFIGS.items():
        print(write(Path(sys.argv[1]), name, config))

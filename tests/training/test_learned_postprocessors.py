"""Label post-processors that learn from labels, and that look at a clock, from training to the loaded bundle."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sortgate.bundle import Bundle
from sortgate.cli import run
from sortgate.inference import Classifier

Rows = list[tuple[str, str]]

PLUGIN = """
import json, os
from msgspec.structs import replace
from sortgate import hookimpl

class Known:
    "Knows the texts that it has seen."
    wants_text = True
    def __init__(self): self.seen = {}
    def fit_labelled(self, texts, label_sets): self.seen = {t: s[0] for t, s in zip(texts, label_sets)}
    def state(self): return json.dumps(self.seen, sort_keys=True).encode()
    def restore(self, state): self.seen = json.loads(state)
    def __call__(self, prediction, text): return replace(prediction, label=self.seen.get(text, prediction.label))

class Clock:
    "Says what the hour is, and not what the text is about."
    pure = False
    def __call__(self, prediction): return replace(prediction, label=os.environ["HOUR"])

@hookimpl
def sortgate_register_postprocessors(register):
    register("zz.known.v1", Known)
    register("zz.clock.v1", Clock)
"""


@pytest.fixture
def trained(
    tmp_path: Path, rows: Callable[..., Rows], write_rows: Callable[[Path, Rows], Path], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Path]:
    """Train with post-processors and settings of one's choice; returns the bundle."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "rules.py").write_text(PLUGIN)
    monkeypatch.setenv("SORTGATE_PLUGINS_DIR", str(tmp_path / "plugins"))
    monkeypatch.setenv("HOUR", "morning")
    data = write_rows(tmp_path / "train.csv", rows(400))

    def train(postprocessors: list[str], *settings: str) -> Path:
        out = tmp_path / "bundle"
        chosen = [f"text.postprocessors={json.dumps(postprocessors)}", "model.hidden=8", "epochs=4", *settings]
        arguments = [part for setting in chosen for part in ("--set", setting)]
        assert run(["train", str(data), "--out", str(out), "--no-baselines", "--quiet", *arguments]) == 0
        return out

    return train


@pytest.mark.parametrize("abstain", [(), ('abstain.goal="precision>=0.6"',)], ids=["", "abstaining"])
def test_what_it_learned_is_in_the_bundle(
    trained: Callable[..., Path], rows: Callable[..., Rows], abstain: tuple[str, ...]
) -> None:
    out = trained(["zz.known.v1"], *abstain)
    names = [record.name for record in Bundle.open(out).manifest.text.postprocessors]
    assert names == (["sortgate.threshold.v1"] if abstain else []) + ["zz.known.v1"]
    classifier = Classifier.load(out)
    known = classifier.text_path.postprocessors[-1].component.seen
    # by default all texts but those to judge by are learned from, the second time
    assert len(known) >= 0.8 * len({text.lower() for text, _ in rows(400)})
    text, label = next(iter(known.items()))
    assert classifier([text])[0].label == label


def test_golden_texts_and_the_report_do_not_look_at_the_clock(
    trained: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = trained(["zz.clock.v1"])
    assert Bundle.open(out).manifest.metrics["test"]["accuracy"] > 0.5
    monkeypatch.setenv("HOUR", "evening")
    classifier = Classifier.load(out)
    assert classifier(["the printer is broken"])[0].label == "evening"

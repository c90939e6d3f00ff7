"""``card.md``: the bundle's model card (Mitchell et al. 2019), from the same figures as the report."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sortgate.bundle import Manifest
from sortgate_training.report.page import Subject
from sortgate_training.report.sections import shown, standing_names, standings

#: What Markdown or the HTML in it would take for markup.
_MARKUP = re.compile(r"([\\`*_\[\]<>&|#])")
_EXAMPLE = """```python
from sortgate import Classifier

classifier = Classifier.load("path/to/this/folder")
print(classifier(["a text"]))
```"""


def render_card(subject: Subject, manifest: Manifest) -> bytes:
    """Return the card, UTF-8; it quotes no text."""
    figures, metrics = subject.figures, subject.figures.metrics
    text = manifest.text
    path = ", ".join(part.name for part in (*text.normalizers, text.tokenizer, *text.filters))
    limits = manifest.limits
    weak = sorted(metrics.labels, key=lambda row: row.f1)[:5]
    size = f" {subject.size / 1e6:.1f} MB." if subject.size else ""
    speed = f" {subject.speed:,.0f} texts a second on one core of the machine it was made on." if subject.speed else ""
    ngrams = " with an n-gram path beside it" if manifest.training.get("ngrams", {}).get("enabled") else ""
    use = "For texts like those it was trained on: the same language, source and labels."
    if not subject.multi_label and not text.postprocessors:
        use += " Every text gets one of the labels, also one that belongs to none: give low scores to a person."
    data = [
        [name, str(facts.get("source", "")), f"{facts.get('texts', 0):,}", str(facts.get("sha256", ""))]
        for name, facts in manifest.data.items()
    ]
    bounds = (
        f"At most {limits.max_text_bytes:,} bytes and {limits.max_characters:,} characters a text; "
        f"of a text with more than {limits.max_tokens:,} tokens only the {limits.kept} are read."
    )
    error = ""
    if (calibration := figures.calibration) is not None:
        error = (
            f"Expected calibration error {calibration.after:.4f}; without the temperature of "
            f"{calibration.temperature:g} it would be {calibration.before:.4f}."
        )
    sections = {
        "Use": [use, _EXAMPLE],
        "Data": [_table(["part", "from", "texts", "SHA-256 of the file"], data)],
        "Figures": [
            f"On {metrics.texts:,} {subject.judged_on} texts, per cent, with 95 % intervals.",
            _table(["", *standing_names(figures)], standings(figures)),
            _plain(figures.verdict()),
            f"Lowest F1: {_plain(', '.join(f'{row.label} {100 * row.f1:.1f} ({row.support} texts)' for row in weak))}.",
        ],
        "Calibration": [error],
        "Limits": [bounds, "\n".join(f"- {_plain(note)}" for note in subject.notes)],
        "Versions": [
            f"Text path: {_plain(path)}. Seed {manifest.training.get('seed')}.",
            _plain(", ".join(f"{name} {number}" for name, number in manifest.provided_by.items())),
        ],
    }
    parts = [
        f"# {_plain(manifest.name)}",
        f"Sorts texts into {len(manifest.labels)} labels: {_listed(manifest.labels)}.",
        f"{manifest.model.cell.upper()} network in {manifest.model.precision}{ngrams}.{size}{speed}",
    ]
    for title, paragraphs in sections.items():
        if kept := [paragraph for paragraph in paragraphs if paragraph]:
            parts += [f"## {title}", *kept]
    return ("\n\n".join(parts) + "\n").encode("utf-8", "replace")


def _listed(labels: Sequence[str], most: int = 30) -> str:
    return _plain(", ".join(labels[:most])) + (f" and {len(labels) - most} more" if len(labels) > most else "")


def _plain(text: str) -> str:
    return " ".join(_MARKUP.sub(r"\\\1", part) for part in _words(text))


def _words(text: str) -> list[str]:
    """Return the words of a text, each harmless in a terminal and on a page."""
    return [shown(word) for word in text.split()]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        "| " + " | ".join(_plain(cell) if cell != "---" else cell for cell in line) + " |" for line in lines
    )

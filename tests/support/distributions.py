"""The distributions of this repository."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: Import package → folder.
PLUGINS = {path.parent.name.replace("-", "_"): path.parent for path in sorted(ROOT.glob("plugins/*/pyproject.toml"))}
PROJECTS = {"sortgate": ROOT, "sortgate_training": ROOT / "training", **PLUGINS}

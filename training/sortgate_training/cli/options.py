"""What the commands have in common: options, and what follows from them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from sortgate.settings import Settings
from sortgate_training.presets import PRESETS

PATH = click.Path(path_type=Path)
TEXT_COLUMN = click.option("--text-column", metavar="NAME", help="Column with the texts.  [default: found by its name]")
LABEL_COLUMN = click.option("--label-column", metavar="NAME", help="Column with the labels.  [default: likewise]")
LABEL_SEPARATOR = click.option(
    "--label-separator",
    metavar="TEXT",
    help="What stands between a text's labels, such as '|', if it may have several.",
)
PLUGINS_DIR = click.option("--plugins-dir", type=PATH, help="Folder of one-file plugins.  [env: SORTGATE_PLUGINS_DIR]")
THREADS = click.option("--threads", type=click.IntRange(1, 1024), help="Threads to compute with.  [default: all cores]")

PRESET = click.option(
    "--preset", type=click.Choice(list(PRESETS)), help="What the defaults aim at.  [default: balanced]"
)


def plugins(plugins_dir: Path | None) -> dict[str, Any]:
    """Return what :func:`sortgate.plugins.create_registry` needs: the plugins folder and the allow-list."""
    settings = Settings.from_env(plugins_dir=plugins_dir)
    return {"plugins_dir": settings.plugins_dir, "allow": settings.plugins}


def cores() -> int:
    """Return the count of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1

"""Virtual environments of yardsticks that cannot share Sortgate's: each has the versions that it supports."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

from workers import HERE

ROOT = HERE.parent.parent
FOLDER = HERE / ".environments"


def python_of(name: str) -> Path:
    """Return the interpreter of an environment with ``requirements/NAME.txt`` and Sortgate; made when it is missing."""
    requirements = HERE / "requirements" / f"{name}.txt"
    folder = FOLDER / f"{name}-{hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]}"
    interpreter = folder / "bin" / "python"
    if not (folder / "complete").exists():
        print(f"installing {requirements.name} into {folder.relative_to(ROOT)} …", file=sys.stderr)
        venv.create(folder, clear=True, with_pip=True)
        install = [str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "-r", str(requirements), "-e", f"{ROOT}[inference]"], check=True)
        (folder / "complete").touch()
    return interpreter

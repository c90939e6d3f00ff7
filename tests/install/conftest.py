"""Empty virtual environments and the wheels of this repository, for the tests of each install flavour."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from distributions import PROJECTS, ROOT


def clean_env() -> dict[str, str]:
    """Return the environment without what would let a new one see this one, with the constraints for builds."""
    hidden = ("PYTHON", "VIRTUAL_ENV", "SORTGATE_", "COVERAGE")
    env = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    # Older pips read the first for build environments, newer ones the second. Relative: a blank would split a path.
    return {**env, "PIP_CONSTRAINT": "constraints.txt", "PIP_BUILD_CONSTRAINT": "constraints.txt"}


def pip(python: Path | str, *arguments: str) -> None:
    """Run pip under the constraints; fails the test with pip's own words."""
    command = [str(python), "-m", "pip", *arguments, "--quiet", "--disable-pip-version-check", "-c", "constraints.txt"]
    done = subprocess.run(command, cwd=ROOT, env=clean_env(), capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr}"


@dataclass(frozen=True)
class Environment:
    """A virtual environment that holds one install flavour."""

    folder: Path

    @property
    def bin(self) -> Path:
        """Where its programs are."""
        return self.folder / "bin"

    @property
    def environ(self) -> dict[str, str]:
        """What a shell in which it is activated has."""
        path = f"{self.bin}{os.pathsep}{os.environ['PATH']}"
        return {**clean_env(), "PATH": path, "VIRTUAL_ENV": str(self.folder)} | {
            name: str(ROOT / "constraints.txt") for name in ("PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT")
        }

    def run(self, *command: str, timeout: float = 120, **env: str) -> subprocess.CompletedProcess[str]:
        """Run one of its programs somewhere away from the sources."""
        return subprocess.run(
            [str(self.bin / command[0]), *command[1:]],
            cwd=self.folder, env={**clean_env(), **env}, capture_output=True, text=True, check=False, timeout=timeout,
        )  # fmt: skip

    def install(self, *requirements: str) -> None:
        """Install more into it, of the versions that are pinned."""
        pip(self.bin / "python", "install", *requirements)

    def python(self, code: str, **env: str) -> str:
        """Run ``code``, which must succeed without a word on standard error, and return what it printed."""
        done = self.run("python", "-W", "error", "-c", code, **env)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.strip()

    def has(self, *modules: str) -> dict[str, bool]:
        """Return module → whether it can be imported."""
        code = f"from importlib.util import find_spec; print([int(bool(find_spec(m))) for m in {modules!r}])"
        return dict(zip(modules, map(bool, eval(self.python(code))), strict=True))


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheels of every distribution of this repository, built in isolated environments."""
    folder = tmp_path_factory.mktemp("wheels")
    built = {}
    for name, project in PROJECTS.items():
        pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", str(folder), str(project))
        [built[name]] = folder.glob(f"{name}-[0-9]*.whl")
    return built


@pytest.fixture(scope="session")
def create_environment(tmp_path_factory: pytest.TempPathFactory, wheels: dict[str, Path]) -> Callable[..., Environment]:
    """Install wheels of this repository into an empty environment: ``create_environment("sortgate[worker]")``."""

    def create(*requirements: str) -> Environment:
        folder = tmp_path_factory.mktemp("venv")
        venv.create(folder, with_pip=True)
        files = []
        for requirement in requirements:
            name, bracket, extras = requirement.partition("[")
            files.append(f"{wheels[name]}{bracket}{extras}")
        # Siblings that the wheels name are found beside them, not on a registry.
        pip(folder / "bin/python", "install", *files, "--find-links", str(wheels["sortgate"].parent))
        return Environment(folder)

    return create

"""A small reader of Dockerfiles: enough to check these, and to run their steps without a container engine."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"


@dataclass
class Stage:
    """One ``FROM`` and what follows it."""

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, keyword: str) -> list[str]:
        """Arguments of every instruction of that kind, in order."""
        return [argument for name, argument in self.steps if name == keyword]

    def last(self, keyword: str) -> str:
        """The argument that counts, ``""`` when there is none."""
        return (self.all(keyword) or [""])[-1]

    @property
    def env(self) -> dict[str, str]:
        """Variables set by ``ENV NAME=value …``."""
        return dict(re.findall(r"(\w+)=(\S+)", " ".join(self.all("ENV"))))

    @property
    def command(self) -> list[str]:
        """``ENTRYPOINT`` and ``CMD`` together, both in exec form."""
        parts = [json.loads(self.last(keyword) or "[]") for keyword in ("ENTRYPOINT", "CMD")]
        return [*parts[0], *parts[1]]


def read_dockerfile(path: Path) -> list[Stage]:
    """Return the stages of a Dockerfile; comments go, continued lines are joined."""
    stages: list[Stage] = []
    for keyword, argument in _instructions(path.read_text()):
        if keyword == "FROM":
            base, _, name = argument.partition(" AS ")
            stages.append(Stage(base, name))
        else:
            assert stages, f"{path.name}: {keyword} before FROM"
            stages[-1].steps.append((keyword, argument))
    return stages


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        keyword, _, argument = line.partition(" ")
        yield keyword, argument.strip()


@pytest.fixture(params=["worker", "training"])
def stages(request: pytest.FixtureRequest) -> list[Stage]:
    """The stages of each Dockerfile in turn."""
    return read_dockerfile(DOCKER / f"{request.param}.Dockerfile")


@pytest.fixture
def worker_stages() -> list[Stage]:
    """The stages of the worker's Dockerfile."""
    return read_dockerfile(DOCKER / "worker.Dockerfile")


@pytest.fixture
def training_stages() -> list[Stage]:
    """The stages of the training Dockerfile."""
    return read_dockerfile(DOCKER / "training.Dockerfile")

"""Checks a bill of materials (CycloneDX, JSON) without a network: is everything pinned, and nothing known to be bad?

    python .ci/audit.py build/sbom.json

Refused are a distribution that constraints.txt does not pin or pins to another version, a pin below the fix of an
advisory in advisories.toml, and a lower bound in a pyproject.toml that would admit one. Advisories that are not in that
file are not looked for.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
#: What `python -m venv` puts there itself.
SEEDED = {"pip", "setuptools", "wheel"}


def canonical(name: str) -> str:
    """Return a distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_pins(path: Path) -> dict[str, str]:
    """Return distribution → version of a constraints file."""
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return {canonical(name): version for name, _, version in (line.partition("==") for line in lines if line)}


def projects(root: Path) -> list[Path]:
    """Return the project files of this repository."""
    return [root / "pyproject.toml", root / "training/pyproject.toml", *sorted(root.glob("plugins/*/pyproject.toml"))]


def lower_bounds(path: Path) -> Iterator[tuple[str, str | None]]:
    """Yield distribution and least version admitted, for every requirement of a project, its extras included."""
    project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    extras = project.get("optional-dependencies", {}).values()
    for line in chain(project.get("dependencies", ()), chain.from_iterable(extras)):
        requirement = Requirement(line)
        least = [spec.version for spec in requirement.specifier if spec.operator in {">=", "==", "~="}]
        yield canonical(requirement.name), max(least, key=Version) if least else None


def problems(sbom: Path, root: Path) -> Iterator[str]:
    """Yield a line for everything that is wrong."""
    pins = read_pins(root / "constraints.txt")
    advisories = tomllib.loads((root / ".ci/advisories.toml").read_text(encoding="utf-8"))["advisory"]
    own = {canonical(tomllib.loads(path.read_text(encoding="utf-8"))["project"]["name"]) for path in projects(root)}
    for component in json.loads(sbom.read_text(encoding="utf-8"))["components"]:
        name, version = canonical(component["name"]), component["version"]
        if name in own | SEEDED:
            continue
        if name not in pins:
            yield f"{name} {version} is installed and constraints.txt does not pin it"
        elif Version(pins[name]).public != Version(version).public:
            yield f"{name} {version} is installed and constraints.txt pins {pins[name]}"
    for advisory in advisories:
        name, fixed = canonical(advisory["package"]), Version(advisory["fixed"])
        why = f"{advisory['id']} ({advisory['what']}) is fixed in {fixed}"
        if name in pins and Version(pins[name]) < fixed:
            yield f"constraints.txt pins {name} {pins[name]}: {why}"
        for path in projects(root):
            for found, least in lower_bounds(path):
                if found == name and (least is None or Version(least) < fixed):
                    yield f"{path.relative_to(root)} admits {name} {least or 'of any version'}: {why}"


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Print what is wrong; returns the exit status."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    sbom = Path(arguments[0])
    found = sorted(set(problems(sbom, root)))
    for line in found:
        print(f"audit: {line}", file=sys.stderr)
    if not found:
        count = len(json.loads(sbom.read_text(encoding="utf-8"))["components"])
        print(f"audit: {count} distributions in {sbom}, all pinned, none below a fix in .ci/advisories.toml")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

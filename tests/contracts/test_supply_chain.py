"""The audit of the bill of materials in CI: what it refuses, and that this repository passes it."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from distributions import PLUGINS

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = (
    "pyproject.toml",
    "training/pyproject.toml",
    *(f"plugins/{folder.name}/pyproject.toml" for folder in PLUGINS.values()),
)


@pytest.fixture(scope="module")
def audit() -> Any:
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci/audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The files that the audit reads, to be changed."""
    for name in (*PROJECTS, "constraints.txt", ".ci/advisories.toml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def bill(root: Path, **versions: str) -> Path:
    """Write a bill of these distributions, as far as the audit reads one."""
    components = [{"name": name, "version": number} for name, number in versions.items()]
    path = root / "sbom.json"
    path.write_text(json.dumps({"bomFormat": "CycloneDX", "components": components}))
    return path


def replace(path: Path, pattern: str, text: str) -> None:
    before = path.read_text()
    after = re.sub(pattern, text, before, flags=re.MULTILINE)
    assert after != before
    path.write_text(after)


def test_this_repository_passes(audit: Any, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ("celery", "kombu", "msgspec", "onnxruntime", "redis", "cryptography")
    installed = {name: version(name) for name in names}
    assert audit.main([str(bill(root, sortgate="0.1.0", pip="23.2", **installed))], ROOT) == 0
    assert "8 distributions" in capsys.readouterr().out


def test_what_is_not_pinned_is_refused(audit: Any, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.main([str(bill(root, Left_Pad="1.0", celery="5.7.1"))], root) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first == "audit: celery 5.7.1 is installed and constraints.txt pins 5.7.0"
    assert second == "audit: left-pad 1.0 is installed and constraints.txt does not pin it"


def test_a_pin_below_a_fix_is_refused(audit: Any, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    replace(root / "constraints.txt", r"^onnx==.*", "onnx==1.20.1")
    assert audit.main([str(bill(root))], root) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines
    assert all("constraints.txt pins onnx 1.20.1: CVE-" in line for line in lines)


@pytest.mark.parametrize("bound", ["torch>=2.6", "torch", "torch<3"])
def test_a_lower_bound_that_admits_a_known_hole_is_refused(
    audit: Any, root: Path, capsys: pytest.CaptureFixture[str], bound: str
) -> None:
    replace(root / "training/pyproject.toml", r'"torch>=[^"]*"', f'"{bound}"')
    assert audit.main([str(bill(root))], root) == 1
    assert "training/pyproject.toml admits torch" in capsys.readouterr().err


def test_the_tool_itself_is_pinned_and_ci_runs_it() -> None:
    lines = [line for line in (ROOT / ".ci/sbom-requirements.txt").read_text().splitlines() if line[0] != "#"]
    assert lines
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    assert any(line.startswith("cyclonedx-bom==") for line in lines)
    assert "make sbom" in (ROOT / ".ci/run").read_text()

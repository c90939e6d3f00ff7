"""What the wheels hold: import packages under their own names, and nothing that clashes in somebody's environment."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from distributions import PLUGINS, PROJECTS


@pytest.mark.parametrize("name", PROJECTS)
def test_wheel_holds_its_own_package_only(wheels: dict[str, Path], name: str) -> None:
    files = zipfile.ZipFile(wheels[name]).namelist()
    tops = {file.partition("/")[0] for file in files}
    assert {top for top in tops if not top.endswith(".dist-info")} == {name}
    assert f"{name}/py.typed" in files
    assert not [file for file in files if Path(file).stem.startswith("test_") or "conftest" in file]


def test_scripts_and_licence_are_packed(wheels: dict[str, Path]) -> None:
    """Redis runs the Lua scripts of the installed package, not of a checkout."""
    files = zipfile.ZipFile(wheels["sortgate"]).namelist()
    source = Path(__file__).resolve().parents[2] / "worker/sortgate/streams"
    assert {f"sortgate/streams/{path.name}" for path in source.glob("*.lua")} <= set(files)
    assert [file for file in files if file.endswith(".dist-info/licenses/LICENSE")]


def test_siblings_are_named_by_version(wheels: dict[str, Path]) -> None:
    for name in ("sortgate_training", *PLUGINS):
        archive = zipfile.ZipFile(wheels[name])
        [metadata] = [file for file in archive.namelist() if file.endswith("METADATA")]
        needs = [
            line for line in archive.read(metadata).decode().splitlines() if line.startswith("Requires-Dist: sortgate")
        ]
        assert needs, name
        assert all("==" in line or ">=" in line for line in needs)
        assert not [line for line in needs if "@" in line or "file:" in line]

"""``sortgate plugins new``: what it writes is clean, passes its own tests, and installs; what it refuses."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

from sortgate.cli import run
from sortgate.plugins import KINDS

ROOT = Path(__file__).resolve().parents[2]


def call(*command: str | Path, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, command)), cwd=cwd, env={**os.environ, **env},
        capture_output=True, text=True, check=False, timeout=170,
    )  # fmt: skip


def pretend_installed(folder: Path) -> None:
    """Write the metadata that pip would, so that the entry point is found where ``folder`` is on the path."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = "".join(f"{name} = {module}\n" for name, module in project["entry-points"]["sortgate"].items())
    (info / "entry_points.txt").write_text(f"[sortgate]\n{points}")


@pytest.mark.parametrize("kind", KINDS)
def test_distribution_passes_its_own_tests(tmp_path: Path, kind: str) -> None:
    assert run(["plugins", "new", "zz-first", "--kind", kind, "--dir", str(tmp_path)]) == 0
    folder = tmp_path / "sortgate-zz-first"
    pretend_installed(folder)
    done = call(sys.executable, "-m", "pytest", "-q", "-W", "error", folder, cwd=tmp_path, PYTHONPATH=str(folder))
    assert done.returncode == 0, done.stdout
    assert re.search(r"\b\d\d passed", done.stdout)


@pytest.mark.parametrize("kind", KINDS)
def test_single_file_passes_its_own_tests(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["plugins", "new", "zz-first", "--kind", kind, "--single-file", "--dir", "my plugins"]) == 0
    first, show, bench = capsys.readouterr().out.partition("Next:\n")[2].splitlines()
    for line in (first, show, bench):
        done = call("sh", "-c", line, cwd=tmp_path, PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


def test_what_it_writes_is_clean(tmp_path: Path) -> None:
    for kind in KINDS:
        assert run(["plugins", "new", f"zz-{kind}", "--kind", kind, "--dir", str(tmp_path)]) == 0
        folder = tmp_path / f"sortgate-zz-{kind}"
        for command in (["ruff", "check"], ["ruff", "format", "--check", "--diff"]):
            done = call(sys.executable, "-m", *command, "--no-cache", ".", cwd=folder)
            assert done.returncode == 0, done.stdout
    folders = [tmp_path / f"sortgate-zz-{kind}" for kind in KINDS]
    packages = [path for folder in folders for path in (*folder.glob("sortgate_*"), *folder.glob("tests/*.py"))]
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), *packages]
    done = call(*command, cwd=folders[0])
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", ["Phones", "9lives", "a--b", "a_b", "-x", "x/y", "../x", "", "a" * 41, "sortgate-"])
def test_bad_name_is_one_line(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plugins", "new", "--dir", str(tmp_path), "--", name]) == 78
    printed = capsys.readouterr().err
    assert printed.startswith("sortgate: error: plugin name")
    assert printed.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["sortgate", "training", "nltk", "sortgate-nltk"])
def test_taken_name_is_one_line(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plugins", "new", name, "--dir", str(tmp_path)]) == 78
    assert "is taken here already; choose another\n" in capsys.readouterr().err


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sortgate-phones").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_phones.py").write_text("mine")
    for more in ([], ["--single-file"]):
        assert run(["plugins", "new", "phones", "--dir", str(tmp_path), *more]) == 78
        printed = capsys.readouterr().err
        assert "exists; choose another name" in printed
        assert printed.count("\n") == 1
    assert list((tmp_path / "sortgate-phones").iterdir()) == []
    assert not (tmp_path / "phones.py").exists()


def test_folder_that_cannot_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert run(["plugins", "new", "phones", "--dir", str(tmp_path / "file")]) == 78
    assert "cannot be written: Not a directory\n" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_three_commands_work_in_an_empty_environment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "constraints.txt").write_text((ROOT / "constraints.txt").read_text())
    venv.create(tmp_path / "venv", with_pip=True)
    hidden = ("PYTHON", "VIRTUAL_ENV", "SORTGATE_", "COVERAGE")
    env = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    env |= {"PIP_CONSTRAINT": "constraints.txt", "PIP_BUILD_CONSTRAINT": "constraints.txt"}
    env |= {"PATH": f"{tmp_path / 'venv/bin'}:{env['PATH']}", "PIP_QUIET": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    assert run(["plugins", "new", "phones", "--dir", str(tmp_path)]) == 0
    following = capsys.readouterr().out.partition("Next:\n")[2].splitlines()
    assert len(following) == 3
    clean = "cd sortgate-phones && ruff check . && ruff format --check . && mypy ."
    said = ""
    for line in (f"pip install '{ROOT}[cli]'", *following, clean):
        done = subprocess.run(
            ["sh", "-c", line], cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=500
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        said += done.stdout
    assert "phones.mask_digits.v1 (normalizer), from sortgate-phones 0.1.0: sortgate_phones" in said

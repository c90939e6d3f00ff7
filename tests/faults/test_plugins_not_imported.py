"""S2: a malicious distribution that is installed runs nothing until a manifest or the allow-list names it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audited import Audit
from damage import edit_manifest
from sortgate.bundle import Bundle
from sortgate.bundle.keys import create_key

#: Announces a plugin, and two commands, of which one has the name of ours.
ENTRY_POINTS = """
[sortgate]
evil = zz_evil

[sortgate.commands]
classify = zz_evil:command
bundle = zz_evil:command
evil = zz_evil:command
"""
CODE = """
import os
from sortgate import hookimpl

with open({canary!r}, "a") as file:
    file.write(str(os.getpid()))

@hookimpl
def sortgate_register_normalizers(register):
    register("zz.evil.v1", lambda: str)
"""
RECORD = {"name": "zz.evil.v1", "params": {}, "distribution": "zz-evil", "version": "1.0"}


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """Exists once the distribution's code has run."""
    return tmp_path / "canary"


@pytest.fixture
def audit(tmp_path: Path, canary: Path) -> Audit:
    """Environment of processes that have the distribution on their path."""
    site, folder = tmp_path / "site", tmp_path / "audit"
    folder.mkdir()
    info = site / "zz_evil-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zz-evil\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    (site / "zz_evil.py").write_text(CODE.format(canary=str(canary)))
    return Audit(folder, site)


@pytest.fixture
def naming(toy_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the toy bundle whose manifest names the distribution."""
    copy = shutil.copytree(toy_bundle, tmp_path / "models" / "toy")
    edit_manifest(Bundle.open(copy).path, lambda manifest: manifest["text"]["normalizers"].append(RECORD))
    return copy


def run(audit: Audit, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], env={**os.environ, **audit.env, **env},
        input="hello world\n", capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def commands(bundle: Path) -> list[tuple[str, ...]]:
    load = "import sys; from sortgate import Classifier; Classifier.load(sys.argv[1])(['hello world'])"
    return [
        ("-m", "sortgate", "classify", str(bundle)),
        ("-m", "sortgate", "bundle", "verify", str(bundle)),
        ("-m", "sortgate", "bundle", "inspect", str(bundle)),
        ("-c", load, str(bundle)),
    ]


def test_not_imported_where_nobody_names_it(audit: Audit, canary: Path, toy_bundle: Path) -> None:
    for command in (*commands(toy_bundle), ("-m", "sortgate", "--help"), ("-m", "sortgate", "worker", "--help")):
        done = run(audit, *command)
        assert done.returncode == 0, done.stderr
    assert audit.imported("sortgate.bundle"), "the audit hook does not see these processes"
    assert not audit.imported("zz_evil")
    assert not canary.exists()


def test_not_imported_by_a_worker(start_worker: Callable[..., Any], redis: Any, audit: Audit, canary: Path) -> None:
    from sortgate import Client

    start_worker(**audit.env)
    with Client(f"redis://127.0.0.1:{redis.connection_pool.connection_kwargs['port']}", queue="toy") as client:
        assert client.classify("hello world", timeout=30).label
    assert audit.imported("sortgate.worker.child")
    assert audit.imported("onnxruntime"), "the audit hook does not see the pool's processes"
    assert not audit.imported("zz_evil")
    assert not canary.exists()


def test_imported_where_the_manifest_names_it(audit: Audit, canary: Path, naming: Path) -> None:
    done = run(audit, "-m", "sortgate", "classify", str(naming))
    assert done.returncode == 0, done.stderr
    assert audit.imported("zz_evil")
    assert canary.exists()


def test_imported_where_the_allow_list_names_it(audit: Audit, canary: Path, toy_bundle: Path) -> None:
    done = run(audit, "-m", "sortgate", "classify", str(toy_bundle), SORTGATE_PLUGINS="zz-evil")
    assert done.returncode == 0, done.stderr
    assert canary.exists()


def test_the_allow_list_outdoes_the_manifest(audit: Audit, canary: Path, naming: Path) -> None:
    for command in commands(naming):
        done = run(audit, *command, SORTGATE_PLUGINS="sortgate-nltk")
        assert done.returncode == 0 if "inspect" in command else "SORTGATE_PLUGINS" in done.stderr
    assert not audit.imported("zz_evil")
    assert not canary.exists()


def test_a_manifest_that_nobody_signed_imports_nothing(
    audit: Audit, canary: Path, naming: Path, start_worker: Callable[..., Any], tmp_path: Path
) -> None:
    public, _ = create_key(tmp_path / "release.key")
    for command in commands(naming):
        done = run(audit, *command, SORTGATE_TRUSTED_KEYS=str(public))
        assert done.returncode == 0 if "inspect" in command else "not signed" in done.stderr
    worker = start_worker(models=naming.parent, ready=False, **audit.env, SORTGATE_TRUSTED_KEYS=str(public))
    assert worker.process.wait(60) == 78
    assert not audit.imported("zz_evil")
    assert not canary.exists()

"""What commands write: files whole or not at all, never over what is read, and results not into nothing."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sortgate import keys
from sortgate.cli import run
from sortgate.cli.outfiles import check_no_input, write_file
from sortgate.errors import ConfigurationError


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file may grow beyond 4 KiB, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("small_files")
def test_a_file_that_does_not_fit_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("before")
    with pytest.raises(ConfigurationError, match=r"--report report\.html: File too large"):
        write_file("--report report.html", path, b"x" * 10_000)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_links_rights_and_devices_stay_what_they_are(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("before")
    real.chmod(0o640)
    link.symlink_to(real)
    write_file("--report", link, b"after")
    assert link.is_symlink()
    assert (real.read_text(), stat.S_IMODE(real.stat().st_mode)) == ("after", 0o640)
    write_file("--report", Path(os.devnull), b"anything")
    assert not Path(os.devnull).is_file()


def test_what_is_read_is_not_written_over(tmp_path: Path, toy_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, other = tmp_path / "mail.txt", tmp_path / "other"
    text.write_text("hello world")
    other.hardlink_to(text)
    check_no_input("--html new.html", tmp_path / "new.html", [text, "-"])
    for html in (text, other):
        assert run(["explain", str(toy_bundle), "--file", str(text), "--html", str(html)]) == 78
        assert "is a file that is read here; name another" in capsys.readouterr().err
        assert text.read_text() == "hello world"


def test_results_are_kept_where_standard_output_is_closed(redis_url: str, redis: Any) -> None:
    redis.xadd(keys.results("q"), {"v": "1", "id": "a", "status": "ok"})
    command = f'"{sys.executable}" -m sortgate results --queue q --timeout 1 --redis-url {redis_url} >&-'
    done = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert done.returncode == 78
    assert "standard output is closed" in done.stderr
    assert redis.xlen(keys.results("q")) == 1

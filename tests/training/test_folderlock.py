"""The lock of a folder: one holder, gone with its process, kept by nobody else, and no trace of a holder in vain."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sortgate.errors import ConfigurationError
from sortgate_training.folderlock import NAME, FolderLock

#: Takes the lock, does what is filled in, says so and waits to be killed.
HOLDER = """
import os, subprocess, sys, time
from pathlib import Path
from sortgate_training.folderlock import FolderLock
lock = FolderLock(Path(sys.argv[1]), "folder", "taken", "go")
{}
print(os.getpid() if child is None else child, flush=True)
time.sleep(60)
"""
#: Each leaves a child behind when its parent is killed, and tells its number.
CHILDREN = {
    "none": "child = None",
    "executed": "child = subprocess.Popen(['sleep', '60'], close_fds=False).pid",
    # the child tells it, and so has begun
    "forked": "child = os.fork()\nif child == 0: child = None\nelse: time.sleep(60)",
}


def take(path: Path) -> FolderLock:
    return FolderLock(path, "folder", "taken", "go away")


def test_one_holder(tmp_path: Path) -> None:
    with take(tmp_path):
        with pytest.raises(ConfigurationError) as refused:
            take(tmp_path)
        assert str(refused.value) == f"folder: taken (process {os.getpid()}); wait for it, or go away"
    take(tmp_path).release()


@pytest.mark.parametrize("children", CHILDREN)
def test_it_ends_with_its_process(tmp_path: Path, children: str) -> None:
    command = [sys.executable, "-c", HOLDER.format(CHILDREN[children]), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        try:
            with pytest.raises(ConfigurationError, match=rf"\(process {process.pid}\)"):
                take(tmp_path)
            process.kill()
            process.wait()
            take(tmp_path).release()
        finally:
            if child != process.pid:
                os.kill(child, signal.SIGKILL)


def test_nothing_is_left_of_a_holder_in_vain(tmp_path: Path) -> None:
    path = tmp_path / "models" / "toy" / ".run"
    take(path).release()
    assert list(tmp_path.iterdir()) == []
    path.mkdir(parents=True)
    take(path).release()
    assert list(path.iterdir()) == [], "a folder that was there stays"
    (path / "run.json").touch()
    take(path).release()
    assert sorted(found.name for found in path.iterdir()) == [NAME, "run.json"]


def test_released_twice_it_takes_nothing_from_the_next(tmp_path: Path) -> None:
    first = take(tmp_path)
    first.release()
    with take(tmp_path):
        first.release()
        assert (tmp_path / NAME).exists()


def test_a_removed_file_locks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opened the file just before its holder removed it must not think that it has the folder."""
    holder, opened, after = take(tmp_path / "x"), os.open, []

    def late(*arguments: int) -> int:
        descriptor = opened(*arguments)
        if not after:
            after.append(descriptor)
            holder.release()
        return descriptor

    monkeypatch.setattr(os, "open", late)
    lock = take(tmp_path / "x")
    monkeypatch.undo()
    assert after
    with pytest.raises(ConfigurationError, match="taken"):
        take(tmp_path / "x")
    lock.release()


def test_no_place_for_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").mkdir()
    (tmp_path / "loop" / NAME).symlink_to("nowhere")
    for path, says in ((tmp_path / "file" / "x", "Not a directory"), (tmp_path / "loop", "symbolic links")):
        with pytest.raises(ConfigurationError, match=f"folder: .*{says}.*; go away"):
            take(path)
    assert {found.name for found in tmp_path.iterdir()} == {"file", "loop"}


def test_a_file_system_without_locks_keeps_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with take(tmp_path / "folder"):
        assert (tmp_path / "folder" / NAME).read_text() == f"{os.getpid()}\n"
    assert not (tmp_path / "folder").exists()

"""One process at a time works in a folder: the kernel's lock of a file in it, which a killed process leaves to nobody.

The lock is the open file's, not the file's that lies there (flock(2)): a file without a process is no lock, and
whoever has opened one that was removed meanwhile opens the next.
"""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from sortgate.errors import ConfigurationError

#: In the folder; holds the number of the process that has, or last had, the lock.
NAME = "lock"
#: What flock(2) says on file systems that have no locks, some of a network for example.
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
#: Each is lost only to another command that made or removed the folder at that very moment.
_TRIES = 10


class FolderLock:
    """Held until :meth:`release`, or until the process ends in whatever way; a context manager.

    Makes the folder where there is none; only the file ``lock`` is made or changed in it. On a file system without
    locks there is none: then nobody is kept from working there too.

    Args:
        path: the folder.
        named: what errors call it.
        busy: says that another process has the lock.
        instead: what can be done other than to wait.

    Raises:
        ConfigurationError: another process has the lock, or the folder cannot be made or written to.
    """

    def __init__(self, path: Path, named: str, busy: str, instead: str) -> None:
        self.path = path
        self._made: list[Path] = []
        try:
            self._made = [folder for folder in (path, *path.parents) if not folder.exists()]
            found = self._take()
        except OSError as error:
            self._remove_made()
            raise ConfigurationError(f"{named}: {error.strerror}; {instead}") from None
        if isinstance(found, str):
            raise ConfigurationError(f"{named}: {busy}{found}; wait for it, or {instead}")
        self._descriptor: int | None = found
        # exec closes it by itself (PEP 446); a child that is forked alone could outlive us and would keep the lock
        os.register_at_fork(after_in_child=self._close)
        with suppress(OSError):  # on a full disk nobody is told the number, that is all
            os.ftruncate(found, 0)
            os.pwrite(found, b"%d\n" % os.getpid(), 0)

    def _take(self) -> int | str:
        """Return the locked file's descriptor, or in words which process has it, where that is known."""
        holder = ""
        for _ in range(_TRIES):
            self.path.mkdir(parents=True, exist_ok=True)
            try:
                descriptor = os.open(self.path / NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
            except FileNotFoundError:  # the folder has gone again
                continue
            taken = False
            try:
                _lock(descriptor)
                taken = os.path.samestat(os.fstat(descriptor), os.lstat(self.path / NAME))
            except FileNotFoundError:  # the file was removed, by who had the lock, between the two calls
                continue
            except BlockingIOError:
                number = os.pread(descriptor, 20, 0).strip()
                holder = f" (process {int(number)})" if number.isdigit() else ""
                break
            finally:
                if not taken:
                    os.close(descriptor)
            if taken:
                return descriptor
        return holder

    def release(self) -> None:
        """Let another process have the folder; what was made and is of no use to anybody goes."""
        if self._descriptor is None:  # released, or of the parent: the file may be another process's lock by now
            return
        with suppress(OSError):
            if [found.name for found in self.path.iterdir()] == [NAME]:
                (self.path / NAME).unlink()
                self._remove_made()
        self._close()

    def _remove_made(self) -> None:
        with suppress(OSError):
            for folder in self._made:
                folder.rmdir()  # an empty one only

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Release it."""
        self.release()


def _lock(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise

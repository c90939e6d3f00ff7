"""Watches what a plugin does while it is imported: network, processes, files. Uses Python's audit events (PEP 578)."""

from __future__ import annotations

import os
import sys
import sysconfig
from importlib.machinery import all_suffixes
from pathlib import Path
from types import FrameType
from typing import Any

#: Audit event → what it means. They are refused as well as noted: a check must not do harm.
_REFUSED = {
    "socket.connect": "connects to", "socket.bind": "listens at", "socket.sendto": "sends to",
    "socket.getaddrinfo": "looks up", "socket.gethostbyname": "looks up", "urllib.Request": "asks for",
    "subprocess.Popen": "starts", "os.system": "starts", "os.exec": "starts", "os.posix_spawn": "starts",
    "os.spawn": "starts", "os.fork": "forks", "os.forkpty": "forks",
    "os.mkdir": "makes the folder", "os.remove": "removes", "os.rmdir": "removes", "os.rename": "renames",
    "os.truncate": "cuts", "os.link": "links", "os.symlink": "links", "os.chmod": "changes the mode of",
    "shutil.rmtree": "removes", "shutil.copyfile": "copies", "shutil.move": "moves",
    "sqlite3.connect": "opens the database",
}  # fmt: skip
#: Events whose first argument is the socket.
_OF_A_SOCKET = ("socket.connect", "socket.bind", "socket.sendto")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_MODULES = (*all_suffixes(), ".dll", ".dylib")
_METADATA = (".dist-info", ".egg-info")
_STANDARD = str(Path(sysconfig.get_path("stdlib")))
_OURS = str(Path(__file__).resolve().parents[1])


class RefusedError(OSError):
    """Raised in place of what a plugin must not do at import."""


class Watch:
    """Notes what happens while ``active``; the hook stays for good, so it belongs in a process of its own."""

    def __init__(self) -> None:
        self.active = False
        self.seen: list[str] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.active:
            return
        act = _opens(*arguments) if event == "open" else _REFUSED.get(event)
        if act is None:
            return
        self.active = False  # finding the place must not be watched
        try:
            place = _place(sys._getframe(1))
            if place is not None:
                what = arguments[1:2] if event in _OF_A_SOCKET else arguments[:1]
                self.seen.append(" ".join([place, act, *map(repr, what)]))
        finally:
            self.active = True
        if place is not None and act != "reads":
            raise RefusedError("refused while a plugin is imported")


def _opens(path: Any, mode: Any = None, flags: Any = 0) -> str | None:
    """Return what an ``open`` event does, None when it is what importing needs."""
    if isinstance(path, int) or path is None:
        return None
    name = os.fsdecode(path)
    if name == os.devnull:
        return None
    if set(mode or "") & set("wax+") or (isinstance(flags, int) and flags & _WRITES):
        return "writes"
    folders = Path(name).parts[:-1]
    needed = name.endswith(_MODULES) or name in sys.path or any(part.endswith(_METADATA) for part in folders)
    own = name.startswith(_STANDARD) and "site-packages" not in folders
    return None if needed or own else "reads"


def _place(frame: FrameType | None) -> str | None:
    """Return file and line of the foreign code that is at work, None when Sortgate itself is."""
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(_OURS):
            return None
        if not name.startswith(("<frozen", _STANDARD)) or "site-packages" in name:
            return f"{Path(name).name}:{frame.f_lineno}"
        frame = frame.f_back
    return None

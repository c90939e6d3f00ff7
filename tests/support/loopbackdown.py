"""Run inside a network namespace: a worker and its Redis while the loopback interface goes down and up again."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from faultrun import FAST, FaultRun
from sortgate.embedded import EmbeddedRedis
from waiting import wait_for

_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1


def loopback(up: bool) -> None:
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP if up else 0))


def main(models: Path, folder: Path) -> None:
    loopback(True)
    with EmbeddedRedis() as server, (folder / "worker.log").open("wb") as log:
        command = [sys.executable, "-m", "sortgate", "worker", "--models", str(models), "--queues", "toy"]
        env = {**os.environ, **FAST, "SORTGATE_REDIS_URL": server.url, "SORTGATE_SOCKET_TIMEOUT_S": "2"}
        worker = subprocess.Popen(command, stdout=log, stderr=log, env=env)
        try:
            wait_for(lambda: b"serving queue" in (folder / "worker.log").read_bytes(), what="worker")
            run = FaultRun(server.url, folder)
            with run.producing():
                run.working()
                loopback(False)
                time.sleep(5.0)
                loopback(True)
                run.probe(within_s=30)
            counts = run.check()
            run.close()
            assert worker.poll() is None, (folder / "worker.log").read_text()
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.wait(30)
    print(json.dumps({**msgspec.structs.asdict(counts), **run.figures}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

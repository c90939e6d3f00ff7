"""The private Redis: starts, restarts on its data, and never outlives its owner in any way of ending."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import redis

from sortgate import embedded
from sortgate.embedded import EmbeddedRedis, find_server
from sortgate.errors import ConfigurationError

OWNER = """
import os, signal, sys, threading, time
from sortgate.embedded import EmbeddedRedis
server = EmbeddedRedis().start()
print(server.process.pid, server.data_dir, flush=True)
"""


def wait_gone(pid: int, folder: Path, timeout_s: float = 5.0) -> None:
    end = time.monotonic() + timeout_s
    while (running(pid) or folder.exists()) and time.monotonic() < end:
        time.sleep(0.02)
    assert not running(pid)
    assert not folder.exists()


def running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_it_serves_on_this_machine_only_and_leaves_nothing() -> None:
    with EmbeddedRedis() as server:
        pid, folder = server.process.pid, server.data_dir
        with redis.Redis.from_url(server.url) as client:
            assert client.ping()
            assert client.config_get("bind")["bind"] == "127.0.0.1"
            assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
        assert server.url == f"redis://127.0.0.1:{server.port}/0"
        assert folder.stat().st_mode & 0o077 == 0
    assert not server.running
    wait_gone(pid, folder)
    server.stop()  # a second time does nothing


def test_a_crash_keeps_the_data_of_an_append_only_server() -> None:
    with EmbeddedRedis(appendonly=True) as server:
        url = server.url
        with redis.Redis.from_url(url) as client:
            client.set("a", "1")
        server.kill()
        assert not server.running
        server.start()
        assert server.url == url
        with redis.Redis.from_url(url) as client:
            assert client.get("a") == b"1"


def test_a_password_and_directives_are_passed_on() -> None:
    with EmbeddedRedis(password="p@ss word", config={"maxmemory": "20mb"}) as server:
        with redis.Redis.from_url(server.url) as client:
            assert client.config_get("maxmemory")["maxmemory"] == str(20 * 2**20)
        with redis.Redis(port=server.port) as client, pytest.raises(redis.AuthenticationError):
            client.ping()


def test_two_servers_live_side_by_side() -> None:
    with EmbeddedRedis() as one, EmbeddedRedis() as two:
        assert one.port != two.port
        assert one.data_dir != two.data_dir


def test_a_refused_directive_is_one_line_and_leaves_nothing() -> None:
    server = EmbeddedRedis(config={"no-such-directive": "1"})
    with pytest.raises(ConfigurationError, match=r"ended at once: .*[Bb]ad directive"):
        server.start()
    assert not server.data_dir.exists()


def test_a_port_in_use_is_said() -> None:
    with EmbeddedRedis() as server, pytest.raises(ConfigurationError, match="ended at once"):
        EmbeddedRedis(port=server.port).start()


def test_without_a_server_binary_it_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(embedded.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=r"sortgate\[embedded\]"):
        find_server()


def test_a_server_on_the_path_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binary = tmp_path / "valkey-server"
    binary.symlink_to(find_server())
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_server() == binary


@pytest.mark.parametrize(
    ("ending", "signum"),
    [
        ("pass", None),
        ("raise RuntimeError('the program failed')", None),
        ("sys.exit(3)", None),
        ("os._exit(0)", None),
        ("time.sleep(60)", signal.SIGINT),
        ("time.sleep(60)", signal.SIGTERM),
        ("time.sleep(60)", signal.SIGKILL),
    ],
)
def test_however_the_owner_ends_nothing_stays(ending: str, signum: int | None) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER + ending],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert owner.stdout is not None
    pid, folder = owner.stdout.readline().split()
    if signum is not None:
        os.killpg(owner.pid, signum)  # as a terminal's Ctrl-C does: to the whole process group
    owner.wait(10)
    owner.stdout.close()
    wait_gone(int(pid), Path(folder))


def test_a_server_stopped_by_a_signal_goes_too() -> None:
    server = EmbeddedRedis().start()
    server.process.send_signal(signal.SIGSTOP)
    server.stop()
    wait_gone(server.process.pid, server.data_dir)


def test_forked_children_neither_stop_it_nor_keep_it() -> None:
    code = (
        OWNER
        + """
if os.fork() == 0:
    server.stop()            # not its own: does nothing
    assert server.running
    print("child", flush=True)
    os.close(1)
    time.sleep(60)
time.sleep(0.3)
os.kill(os.getpid(), signal.SIGKILL)
"""
    )
    owner = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert owner.stdout is not None
    try:
        pid, folder = owner.stdout.readline().split()
        assert owner.stdout.readline() == "child\n"
        assert running(int(pid))
        owner.wait(10)
        wait_gone(int(pid), Path(folder))  # although the child still lives
    finally:
        owner.stdout.close()
        os.killpg(owner.pid, signal.SIGKILL)


def test_it_outlives_the_thread_that_started_it() -> None:
    code = (
        OWNER.replace(
            "server = EmbeddedRedis().start()",
            "server = EmbeddedRedis()\nt = threading.Thread(target=server.start); t.start(); t.join()",
        )
        + "time.sleep(0.3); print(server.running)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "True"

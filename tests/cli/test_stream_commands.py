"""``sortgate submit``, ``results``, ``queues``, ``dead`` and ``doctor`` against a real Redis."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py

from sortgate import Client, cli, keys
from sortgate.embedded import EmbeddedRedis
from sortgate.testing import FakeWorker

Q = "tickets"
Run = Callable[..., tuple[int, str, str]]


def label(text: str) -> str:
    if text.startswith("crash"):
        raise ValueError
    return text.upper()


@pytest.fixture
def run(redis_url: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command line; returns status, stdout and stderr."""
    monkeypatch.setenv("SORTGATE_REDIS_URL", redis_url)

    def call(*arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        status = cli.run(list(arguments))
        return (status, *capfd.readouterr())

    return call


def fail(redis_url: str, redis: Any, *texts: str) -> None:
    """Have texts answered, and leave nothing but dead letters."""
    with FakeWorker(redis_url, Q, label), Client(redis_url, Q) as client:
        client.submit(list(texts))
        while redis.xlen(keys.results(Q)) < len(texts):
            time.sleep(0.01)
        list(client.results(timeout=0.1))


def test_submit_and_results_carry_texts_through(run: Run, redis_url: str, redis: Any, tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("hello\n\n你好\r\ncrash it\n")
    assert run("submit", str(path), "--queue", Q) == (0, f"3 texts enqueued on {Q}\n", "")
    with FakeWorker(redis_url, Q, label):
        status, out, err = run("results", "--queue", Q, "--max", "3")
    assert (status, err) == (0, "")
    answers = [json.loads(line) for line in out.splitlines()]
    assert [answer.get("label") for answer in answers] == ["HELLO", "你好", None]
    assert (answers[2]["status"], answers[2]["code"]) == ("error", "component_failed")
    assert redis.xlen(keys.results(Q)) == 0


def test_submit_does_not_take_its_own_journal_for_texts(run: Run, redis: Any, tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    for content in ("", "hello\n"):
        path.write_text(content)
        status, out, err = run("submit", str(path), "--queue", Q, "--journal", str(tmp_path / "." / "texts.txt"))
        assert (status, out) == (78, "")
        assert "is a file that is read here" in err
        assert path.read_text() == content
    assert not redis.exists(keys.requests(Q))


@pytest.mark.parametrize(("deadline", "ends"), [("0", 2), ("-1", 2), ("inf", 2), ("1e300", 2), ("nan", 1)])
def test_submit_takes_deadlines_that_redis_can_hold(run: Run, redis: Any, deadline: str, ends: int) -> None:
    status, _, err = run("submit", "--queue", Q, f"--deadline={deadline}", stdin=b"hello\n")
    assert status == ends
    assert "deadline" in err
    assert "Traceback" not in err
    assert not redis.exists(keys.requests(Q))
    assert run("submit", "--queue", Q, "--deadline=100000000000", stdin=b"hello\n")[0] == 0
    [(_, fields)] = redis.xrange(keys.requests(Q))
    assert len(fields["deadline"]) == 15


def test_submit_goes_by_the_name_of_the_file(run: Run, redis: Any, tmp_path: Path) -> None:
    lines = tmp_path / "texts.ndjson"
    lines.write_text('{"text": "a", "id": "one"}\n{"text": "b", "id": "two"}\n{"text": "c", "id": "one"}\n')
    status, _, err = run("submit", str(lines), "--queue", Q)
    assert (status, err.splitlines()[-1]) == (
        1, f"sortgate: error: {lines}, line 3: id 'one' is that of line 1; 0 texts before this part are enqueued"
    )  # fmt: skip
    for name, says in (("texts.txt.gz", "zcat"), ("texts.csv", "a table")):
        (tmp_path / name).write_text("text,label\nhello,a\n")
        status, out, err = run("submit", str(tmp_path / name), "--queue", Q)
        assert (status, out) == (1, "")
        assert says in err
    assert not redis.exists(keys.requests(Q))
    assert run("submit", str(tmp_path / "texts.csv"), "--queue", Q, "--format", "text")[0] == 0


def test_submit_reads_json_lines_from_standard_input(run: Run, redis: Any) -> None:
    lines = b'{"text": "a", "id": "one", "meta": "m"}\n{"text": "b", "id": "two", "meta": ""}\n'
    status, out, _ = run("submit", "--queue", Q, "--format", "jsonl", "--priority", "high", "--json", stdin=lines)
    assert status == 0
    assert json.loads(out) == {"queue": Q, "submitted": 2, "ids": ["one", "two"]}
    fields = [fields for _, fields in redis.xrange(keys.requests(Q, "high"))]
    assert [(f["text"], f["id"], f["meta"]) for f in fields] == [("a", "one", "m"), ("b", "two", "")]


@pytest.mark.parametrize(
    ("lines", "form", "says"),
    [
        (b"ok\n\xff\n", "text", "standard input, line 2: not UTF-8"),
        (b'{"text": "a"}\n{"tex": "b"}\n', "jsonl", "standard input, line 2: field 'text' is missing"),
        (b'{"text": "a"}\n{"text": "b", "meta": 7}\n', "jsonl", "standard input, line 2: field 'meta' is not a string"),
        (b'{"text": "a", "id": "x"}\n{"text": "b"}\n', "jsonl", "standard input, line 2: no 'id'"),
        (b"ok\n" + b"x" * 70_000 + b"\n", "text", "standard input, line 2: 70,000 bytes, the limit is 65,536"),
    ],
)
def test_a_bad_line_is_named_and_its_part_not_sent(run: Run, redis: Any, lines: bytes, form: str, says: str) -> None:
    status, out, err = run("submit", "-", "--queue", Q, "--format", form, stdin=lines)
    assert (status, out) == (1, "")
    assert err.startswith(f"sortgate: error: {says}")
    assert err.count("\n") == 1
    assert redis.xlen(keys.requests(Q)) == 0


def test_a_full_queue_says_how_many_got_in(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SORTGATE_REQUESTS_LIMIT", "600")
    status, _, err = run("submit", "--queue", Q, stdin=b"x\n" * 1000)
    assert status == 1
    assert "holds 500 texts of at most 600" in err
    assert err.endswith("; the first 500 texts of standard input are enqueued\n")


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("submit", "/no/such/file", "--queue", Q), 1, "/no/such/file: No such file"),
        (("submit", "--queue", "No Good"), 78, "queue name 'No Good'"),
        (("results", "--queue", "No Good"), 78, "queue name 'No Good'"),
        (("queues", "--queue", "No Good"), 78, "queue name 'No Good'"),
        (("queues", "--redis-url", "redis://:secret@127.0.0.1:1/0"), 1, "Connection refused"),
        (("submit", "--queue", Q, "--redis-url", "redis://:secret@127.0.0.1:1/0"), 1, "Connection refused"),
        (("results", "--queue", Q, "--redis-url", "http://x:secret@y"), 78, "no Redis URL"),
        (("dead", "list", "--queue", Q, "--redis-url", "redis://:secret@127.0.0.1:1"), 1, "Connection refused"),
        (("doctor", "--redis-url", "redis://:secret@127.0.0.1:1"), 1, "Connection refused"),
        (("dead", "show", "--queue", Q, "1-1"), 78, "has no dead letter 1-1"),
        (("dead", "show", "--queue", Q, "x"), 78, "'x' is no entry id"),
    ],
)
def test_errors_are_one_line_without_the_password(
    run: Run, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], status: int, says: str
) -> None:
    monkeypatch.setattr("sortgate.client.base.ATTEMPTS", 1)
    if arguments[0] == "results":
        arguments = (*arguments, "--timeout", "0.1")
    found, out, err = run(*arguments, stdin=b"x\n")
    assert (found, out) == (status, "")
    assert says in err
    assert err.startswith("sortgate: error: ")
    assert err.count("\n") == 1
    assert "secret" not in err


def test_queues_as_lines_and_as_json(run: Run, redis_url: str) -> None:
    assert run("queues") == (
        0,
        "QUEUE\tHIGH\tNORMAL\tLOW\tLAG S\tPENDING\tOLDEST S\tRESULTS\tDEAD\tWORKERS\tANSWERED\n",
        "",
    )
    with Client(redis_url, Q) as client, Client(redis_url, "other") as other:
        client.submit(["a", "b"])
        other.submit(["a"], priority="low")
    status, out, _ = run("queues")
    rows = [line.split("\t") for line in out.splitlines()]
    assert status == 0
    assert [row[:4] for row in rows[1:]] == [["other", "0", "0", "1"], [Q, "0", "2", "0"]]
    (stats,) = json.loads(run("queues", "--json", "--queue", Q)[1])
    assert stats["backlog"] == {"high": 0, "normal": 2, "low": 0}
    assert stats["lag_s"] >= 0.0


def test_queues_watch_goes_on_until_interrupted(redis_url: str) -> None:
    command = [sys.executable, "-m", "sortgate", "queues", "--watch", "--json", "--interval", "0.1", "--queue", Q]
    env = {**os.environ, "SORTGATE_REDIS_URL": redis_url}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines = [json.loads(process.stdout.readline()) for _ in range(3)]
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert process.stderr.read().strip() == "sortgate: stopped"
    assert [line[0]["queue"] for line in lines] == [Q] * 3


def test_dead_letters_are_listed_shown_requeued_and_purged(run: Run, redis_url: str, redis: Any) -> None:
    fail(redis_url, redis, "crash \x1b[31m one", "fine", "crash two", "crash three")
    status, out, _ = run("dead", "list", "--queue", Q)
    rows = [line.split("\t") for line in out.splitlines()[1:]]
    assert status == 0
    assert [row[2:4] for row in rows] == [["error", "component_failed"]] * 3
    assert "crash" not in out  # a listing never shows texts
    listed = json.loads(run("dead", "list", "--queue", Q, "--json", "--max", "2")[1])
    first, second = (letter["entry"] for letter in listed)

    status, out, _ = run("dead", "show", "--queue", Q, first)
    assert "text  crash \\x1b[31m one" in out
    assert json.loads(run("dead", "show", "--queue", Q, first, "--json")[1])["fields"]["text"] == "crash \x1b[31m one"

    status, out, err = run("dead", "requeue", "--queue", Q, first, first, "1-1", "--json")
    assert status == 78
    assert "not requeued: 1-1" in err
    assert json.loads(out)["missing"] == ["1-1"]
    assert redis.xrange(keys.requests(Q))[0][1]["requeue_of"] == first

    assert run("dead", "purge", "--queue", Q, second) == (0, f"1 deleted from {Q}\n", "")
    assert run("dead", "requeue", "--queue", Q, "--all") == (0, f"1 requeued on {Q}\n", "")
    assert redis.xlen(keys.dead(Q)) == 0
    assert redis.xlen(keys.requests(Q)) == 2


@pytest.mark.parametrize("action", ["requeue", "purge"])
def test_dead_letters_are_never_all_meant_by_accident(run: Run, action: str) -> None:
    status, _, err = run("dead", action, "--queue", Q)
    assert status == 2
    assert "name the entries, or give --all" in err


def test_doctor_calls_a_redis_that_keeps_nothing_a_risk(run: Run, redis_url: str) -> None:
    with Client(redis_url, Q) as client:
        client.submit(["a"])
    status, out, _ = run("doctor")
    assert status == 1
    assert "RISK\tpersistence\tnone: a restart of Redis loses every text" in out
    assert f"NOTE\tqueue {Q}\tno worker; 1 texts waiting" in out


@pytest.mark.parametrize(
    ("config", "status", "subject", "says"),
    [
        ({}, 0, "persistence", "written through every second"),
        ({"appendfsync": "always"}, 0, "persistence", "survives a crash of Redis and of the machine"),
        ({"appendfsync": "no"}, 1, "persistence", "loses half a minute"),
        ({"appendonly": "no", "save": "900 1"}, 1, "persistence", "everything since the last one, 0 changes now"),
        ({"no-appendfsync-on-rewrite": "yes"}, 0, "persistence", "written through while Redis rewrites its file"),
        ({"maxmemory": "100mb", "maxmemory-policy": "allkeys-lru"}, 1, "memory", "drops keys"),
        ({"maxmemory-policy": "allkeys-lru"}, 1, "memory", "would drop keys"),
        ({"maxmemory": "100mb"}, 0, "memory", "of 100 MiB used"),
        ({"replicaof": "127.0.0.1 1"}, 1, "replication", "read-only replica"),
    ],
)
def test_doctor_says_what_a_server_guarantees(
    run: Run, config: dict[str, str], status: int, subject: str, says: str
) -> None:
    with EmbeddedRedis(config={"appendonly": "yes", **config}) as server:
        found, out, _ = run("doctor", "--json", "--redis-url", server.url)
    assert found == status
    assert any(item["subject"] == subject and says in item["text"] for item in json.loads(out)), out


def test_doctor_says_that_replicas_are_behind(run: Run) -> None:
    with (
        EmbeddedRedis(appendonly=True, config={"repl-diskless-sync-delay": "0"}) as primary,
        EmbeddedRedis(config={"replicaof": f"127.0.0.1 {primary.port}"}),
        redis_py.Redis.from_url(primary.url) as link,
    ):
        while not link.info("replication")["connected_slaves"]:
            time.sleep(0.05)
        status, out, _ = run("doctor", "--redis-url", primary.url)
    assert status == 0
    assert "NOTE\treplication\t1 replicas, copied to asynchronously" in out


def test_results_of_a_redis_that_is_down_are_no_empty_queue(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SORTGATE_REDIS_URL", "redis://127.0.0.1:1/0")
    status, out, err = run("results", "--queue", Q, "--timeout", "1")
    assert (status, out) == (1, "")
    assert err.startswith("sortgate: error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"id": "x", "text": "t", "meta": "m" * 20_000}, "line 1100: field 'meta' must have 0 to 16,384 bytes"),
        ({"id": "", "text": "t"}, "line 1100: field 'id' must have 1 to 256 bytes"),
        ({"text": "t"}, "line 1100: no 'id', but other lines have one"),
        ({"id": "3", "text": "t"}, "line 1100: id '3' is that of line 3"),
    ],
)
def test_a_bad_line_far_down_says_what_is_enqueued(
    run: Run, redis: Any, tmp_path: Path, bad: dict[str, str], says: str
) -> None:
    lines = [{"id": str(number), "text": f"text {number}"} for number in range(1, 1200)]
    lines[1099] = bad
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    status, _, err = run("submit", str(path), "--queue", Q, "--format", "jsonl")
    enqueued = redis.xlen(keys.requests(Q)) + redis.xlen(keys.requests(Q, "low"))  # what is beyond its slots
    assert status == 1
    assert says in err
    assert f"{enqueued:,} texts" in err
    assert enqueued == 1024


@pytest.mark.parametrize("url", ["redis://:pw@host:abc/0", "redis://127.0.0.1:6379/x", "http://host"])
def test_a_broken_url_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("SORTGATE_REDIS_URL", url)
    status, _, err = run("queues")
    assert status == 78
    assert err.startswith("sortgate: error: ")
    assert "no Redis URL" in err
    assert "pw" not in err
    assert err.count("\n") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_one_line() -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-m", "sortgate", "plugins", "list"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "sortgate: error: output cannot be written: No space left on device\n"


def test_a_json_line_without_a_text_is_submitted_as_one(run: Run, redis: Any) -> None:
    lines = b'{"text": "", "id": "none"}\n{"text": " ", "id": "blank"}\n'
    status, out, _ = run("submit", "--queue", Q, "--format", "jsonl", stdin=lines)
    assert (status, out) == (0, f"2 texts enqueued on {Q}\n")
    assert [fields["id"] for _, fields in redis.xrange(keys.requests(Q))] == ["none", "blank"]

"""``sortgate audit`` on live queues: what it counts, what it calls lost, and what it does not."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py

from sortgate import Client, cli, keys
from sortgate.cli import audit as command
from sortgate.journal import Journal
from sortgate.streams.admin import dead_letters, requeue
from sortgate.testing import FakeWorker

Q = "tickets"
Audit = Callable[..., tuple[int, dict[str, Any]]]


def label(text: str) -> str:
    if text == "crash":
        raise ValueError
    return text.upper()


@pytest.fixture
def journal_path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def client(redis_url: str, journal_path: Path) -> Iterator[Client]:
    with Journal(journal_path) as journal, Client(redis_url, Q, journal=journal) as client:
        yield client


@pytest.fixture
def audit(
    redis_url: str, journal_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Audit:
    monkeypatch.setenv("SORTGATE_REDIS_URL", redis_url)
    monkeypatch.setattr(command, "_PAUSE_S", 0.05)

    def call(*arguments: str) -> tuple[int, dict[str, Any]]:
        status = cli.run(["audit", str(journal_path), "--queue", Q, "--json", *arguments])
        out, err = capfd.readouterr()
        assert err == ""
        return status, json.loads(out)

    return call


def counters(found: dict[str, Any]) -> dict[str, int]:
    names = ("attempted", "acknowledged", "ok", "lost", "unexpected", "duplicated", "recovered", "in_flight")
    return {name: found[name] for name in names if found[name]}


def answer(redis_url: str, redis: redis_py.Redis) -> None:
    """Let a worker answer everything that is there."""
    with FakeWorker(redis_url, Q, label):
        while redis.xlen(keys.requests(Q)):
            time.sleep(0.01)


def test_from_enqueued_over_answered_to_collected(
    client: Client, audit: Audit, redis_url: str, redis: redis_py.Redis, tmp_path: Path
) -> None:
    client.submit(["a", "b", "crash"])
    assert audit()[0] == 0
    assert counters(audit()[1]) == {"attempted": 3, "acknowledged": 3, "in_flight": 3}
    answer(redis_url, redis)
    status, found = audit()
    assert (status, found["uncollected"]) == (0, 3)
    assert counters(found) == {"attempted": 3, "acknowledged": 3, "ok": 3}

    answers = tmp_path / "answers.jsonl"
    answers.write_text("".join(json.dumps({"id": r.id, "status": r.status}) + "\n" for r in client.results(0.1)))
    status, found = audit("--results", str(answers))
    assert (status, found["uncollected"]) == (0, 0)
    assert counters(found) == {"attempted": 3, "acknowledged": 3, "ok": 3}

    # without the file, the dead letter alone is known: the other two look lost, and the hint says what to do
    status, found = audit()
    assert (status, found["lost"], found["ok"], found["only_dead_letters"]) == (1, 2, 1, 1)


def test_a_text_that_redis_forgot_is_lost_and_named(client: Client, audit: Audit, redis: redis_py.Redis) -> None:
    ids = client.submit(["a", "b"])
    redis.xtrim(keys.requests(Q), maxlen=1, approximate=False)
    status, found = audit()
    assert (status, found["valid"], found["lost_ids"]) == (1, False, ids[:1])
    assert counters(found) == {"attempted": 2, "acknowledged": 2, "lost": 1, "in_flight": 1}


def test_surplus_answers_are_duplicates_and_those_of_strangers_unexpected(
    client: Client, audit: Audit, redis_url: str, redis: redis_py.Redis
) -> None:
    ids = client.submit(["a", "b"])
    with Client(redis_url, Q) as other:
        other.submit(["c"], ids=["theirs"])
    answer(redis_url, redis)
    redis.xadd(keys.results(Q), {"v": "1", "id": ids[0], "status": "ok"})
    status, found = audit()
    assert (status, found["duplicated_ids"], found["unexpected_ids"]) == (1, ids[:1], ["theirs"])
    status, found = audit("--shared")
    assert (status, found["unexpected"], found["others"], found["duplicated"]) == (1, 0, 1, 1)


def test_unknown_outcomes_that_came_out_are_recovered_and_refused_ones_must_not(
    client: Client, audit: Audit, redis_url: str, redis: redis_py.Redis
) -> None:
    assert client.journal is not None
    client.journal.write("invoke", ["sent", "never arrived"], Q)  # killed before the reply
    client.journal.write("invoke", ["refused"], Q)
    client.journal.write("refused", ["refused"], Q)
    with Client(redis_url, Q) as same:
        same.submit(["x"], ids=["sent"])
        answer(redis_url, redis)
        status, found = audit()
        assert (status, counters(found), found["refused"]) == (0, {"attempted": 2, "ok": 1, "recovered": 1}, 1)
        same.submit(["x"], ids=["refused"])
    answer(redis_url, redis)
    status, found = audit()
    assert (status, found["unexpected_ids"]) == (1, ["refused"])


def test_a_requeued_dead_letter_is_answered_again_without_being_a_duplicate(
    client: Client, audit: Audit, redis_url: str, redis: redis_py.Redis
) -> None:
    client.submit(["crash"])
    answer(redis_url, redis)
    assert counters(audit()[1]) == {"attempted": 1, "acknowledged": 1, "ok": 1}
    for letter in list(dead_letters(redis, Q)):
        requeue(redis, Q, letter.entry)
    answer(redis_url, redis)
    assert redis.xlen(keys.results(Q)) == 2
    status, found = audit()
    assert (status, counters(found)) == (0, {"attempted": 1, "acknowledged": 1, "ok": 1})


def test_what_a_collector_has_in_hand_and_in_its_file_counts_once(
    client: Client, audit: Audit, redis_url: str, redis: redis_py.Redis, tmp_path: Path
) -> None:
    client.submit(["a", "b"])
    answer(redis_url, redis)
    collecting = client.results(timeout=1.0)
    first = next(collecting)  # written to its file, not yet deleted
    answers = tmp_path / "answers.jsonl"
    answers.write_text(json.dumps({"id": first.id, "status": "ok"}) + '\n{"id": "half wri')
    status, found = audit("--results", str(answers))
    assert (status, counters(found)) == (0, {"attempted": 2, "acknowledged": 2, "ok": 2})
    collecting.close()


def test_wait_ends_when_nothing_is_in_flight(client: Client, audit: Audit, redis_url: str) -> None:
    client.submit(["a"])
    started = time.monotonic()
    assert audit("--wait", "0.3")[1]["in_flight"] == 1
    assert time.monotonic() - started >= 0.3
    with FakeWorker(redis_url, Q, label):
        assert counters(audit("--wait", "20")[1]) == {"attempted": 1, "acknowledged": 1, "ok": 1}


def test_the_table_says_what_each_counter_means_and_what_to_do(
    client: Client, audit: Audit, redis_url: str, redis: redis_py.Redis, journal_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert audit()[0] == 0
    client.submit(["a"], ids=["\x1b[31mred"])
    answer(redis_url, redis)
    list(client.results(timeout=0.1))
    assert cli.run(["audit", str(journal_path), "--queue", Q]) == 1
    out = capfd.readouterr().out
    assert "lost\t1\tacknowledged, and neither came out nor in flight" in out
    assert "lost: \\x1b[31mred" in out
    assert "give what was collected with --results FILE" in out


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("audit", "/no/such/journal", "--queue", Q), 1, "/no/such/journal: No such file"),
        (("audit", "JOURNAL", "--queue", "other"), 1, "hold nothing of queue other; they are of: "),
        (("audit", "JOURNAL", "--queue", "No Good"), 78, "queue name 'No Good'"),
        (("audit", "JOURNAL", "--queue", Q, "--results", "JOURNAL"), 1, "line 1: no result of `sortgate results`"),
        (("audit", "JOURNAL", "--queue", Q, "--redis-url", "redis://:secret@127.0.0.1:1"), 1, "Connection refused"),
    ],
)
def test_errors_are_one_line(
    client: Client,
    redis_url: str,
    journal_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    status: int,
    says: str,
) -> None:
    monkeypatch.setenv("SORTGATE_REDIS_URL", redis_url)
    client.submit(["a"])
    found = cli.run([argument.replace("JOURNAL", str(journal_path)) for argument in arguments])
    out, err = capfd.readouterr()
    assert (found, out, err.count("\n")) == (status, "", 1)
    assert says in err
    assert "secret" not in err


def test_submit_keeps_a_journal(
    tmp_path: Path, journal_path: Path, capfd: pytest.CaptureFixture[str], audit: Audit
) -> None:
    (tmp_path / "texts").write_text("a\nb\n")
    assert cli.run(["submit", str(tmp_path / "texts"), "--queue", Q, "--journal", str(journal_path)]) == 0
    capfd.readouterr()
    assert counters(audit()[1]) == {"attempted": 2, "acknowledged": 2, "in_flight": 2}
    assert cli.run(["submit", str(tmp_path / "texts"), "--queue", Q, "--journal", "/no/such/folder/journal"]) == 1
    assert "journal /no/such/folder/journal: No such file" in capfd.readouterr().err

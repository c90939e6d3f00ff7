"""The producer's journal: written by both clients before and after each call, readable after any crash."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from sortgate import AsyncClient, Client
from sortgate.errors import BrokerError, DataError, QueueFullError
from sortgate.journal import Attempts, Journal, read_journals
from sortgate.settings import Settings


def ops(path: Path) -> list[tuple[str, list[str]]]:
    return [(line["op"], line["ids"]) for line in map(json.loads, path.read_text().splitlines())]


def test_submit_notes_ids_before_and_after_and_no_text(redis_url: str, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with Journal(path) as journal, Client(redis_url, "q", journal=journal) as client:
        ids = client.submit(["secret words"] * 700)
        assert client.submit([]) == []
    assert ops(path) == [("invoke", ids[:500]), ("ok", ids[:500]), ("invoke", ids[500:]), ("ok", ids[500:])]
    assert "secret" not in path.read_text()
    assert read_journals([path], "q") == Attempts(set(ids), set(ids), set())
    assert read_journals([path], "another") == Attempts(set(), set(), set(), other_queues=frozenset({"q"}))


def test_the_asyncio_client_keeps_one_too(redis_url: str, tmp_path: Path) -> None:
    async def steps(journal: Journal) -> None:
        async with AsyncClient(redis_url, "q", journal=journal) as client:
            await client.submit(["a"], ids=["1"])

    with Journal(tmp_path / "journal") as journal:
        asyncio.run(steps(journal))
    assert ops(tmp_path / "journal") == [("invoke", ["1"]), ("ok", ["1"])]


def test_a_full_queue_is_noted_as_refused_and_an_absent_redis_as_unknown(redis_url: str, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    settings = Settings(redis_url=redis_url, requests_limit=2)
    with Journal(path) as journal:
        with Client(queue="q", settings=settings, journal=journal) as client, pytest.raises(QueueFullError):
            client.submit(["a"] * 3, ids=["1", "2", "3"])
        with Client("redis://127.0.0.1:1/0", "q", journal=journal) as client, pytest.raises(BrokerError):
            client.submit(["a"], ids=["4"])
    assert ops(path) == [
        ("invoke", ["1", "2"]),
        ("ok", ["1", "2"]),
        ("invoke", ["3"]),
        ("refused", ["3"]),
        ("invoke", ["4"]),
        ("unknown", ["4"]),
    ]
    assert read_journals([path], "q") == Attempts({"1", "2", "4"}, {"1", "2"}, {"3"})


def test_a_line_that_a_crash_cut_off_is_no_attempt_and_the_next_one_stands_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with Journal(path) as journal:
        journal.write("invoke", ["1"], "q")
        journal.write("ok", ["1"], "q")
        journal.write("invoke", ["2"], "q")
    path.write_bytes(path.read_bytes()[:-20])
    with Journal(path) as journal:
        journal.write("invoke", ["3"], "q")
    assert read_journals([path], "q") == Attempts({"1", "3"}, {"1"}, set(), torn=1)


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (['{"op":"invoke","ids":["1"]}'], Attempts({"1"}, set(), set())),
        (['{"op":"refused","ids":["1"]}'], Attempts(set(), set(), {"1"})),
        (['{"op":"unknown","ids":["1"]}'], Attempts({"1"}, set(), set())),
        (['{"op":"invoke","ids":["1"]}'] * 2 + ['{"op":"refused","ids":["1"]}'], Attempts({"1"}, set(), set())),
        (['{"op":"refused","ids":["1"]}', '{"op":"ok","ids":["1"]}', ""], Attempts({"1"}, {"1"}, set())),
    ],
)
def test_lines_of_other_producers_count_by_their_outcome(tmp_path: Path, lines: list[str], found: Attempts) -> None:
    (tmp_path / "journal").write_text("".join(f"{line}\n" for line in lines))
    assert read_journals([tmp_path / "journal"], "q") == found


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.write_text('{"op":"invoke","ids":["1"]}\n{"op":"sent","ids":["1"]}\n')
    with pytest.raises(DataError, match=r"bad, line 2: no line of a journal"):
        read_journals([bad], "q")
    with pytest.raises(DataError, match="No such file"):
        read_journals([tmp_path / "absent"], "q")
    with pytest.raises(DataError, match="Is a directory"):
        Journal(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"I cannot log in\n",
        b'{"text": "a"}\n',
        b'{"text": "a"}',
        b'"a"',
        bytes(range(256)),
        b"{\n",
        b'{"queue": "tickets", "text": "hello"}\n',
        b'{"at":"2026","text":"hello"}\n',
        b'{"ids":3}\n',
        b'{"text": "' + b"a" * 3_000_000,
    ],
)
def test_a_file_of_something_else_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "texts"
    path.write_bytes(content)
    with pytest.raises(DataError, match="texts: a file of something else is there"):
        Journal(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b"", b'{"op":"invoke","ids":["1', b'{"ids":["1"],"op":"invoke"}\n', b"\n"])
def test_what_a_journal_may_begin_with(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal"
    path.write_bytes(content)
    with Journal(path) as journal:
        journal.write("invoke", ["2" * 200] * 10_000, "q")
    with Journal(path):
        pass
    assert "2" * 200 in read_journals([path], "q").attempted


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_what_cannot_be_noted_is_not_sent(redis_url: str) -> None:
    with Journal("/dev/full") as journal, Client(redis_url, "q", journal=journal) as client:
        with pytest.raises(DataError, match="No space left"):
            client.submit(["a"])
        assert client._nodes.current.execute_command("EXISTS", "sortgate:{q}:requests") == 0

"""docs/wire-format.md says what the code does: its tables are complete and its scripts and examples run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from sortgate import Client, keys
from sortgate.messages import _KNOWN, MAX_ID_BYTES, MAX_META_BYTES, parse_result, request_fields
from sortgate.testing import FakeWorker
from sortgate.types import Result
from sortgate.worker.entries import LOST

DOCUMENT = (Path(__file__).parents[2] / "docs" / "wire-format.md").read_text("utf-8")
WORKER = Path(__file__).parents[2] / "worker" / "sortgate"
QUEUE = "tickets"


def section(title: str) -> str:
    match = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^## |\Z)", DOCUMENT, re.M | re.S)
    assert match, title
    return match[1]


def first_cells(text: str) -> set[str]:
    return set(re.findall(r"^\| `([a-z_]+)`", text, re.M))


def test_every_request_field_is_documented() -> None:
    assert first_cells(section("Requests")) == {name for name, _ in _KNOWN.values()}
    assert f"{MAX_META_BYTES:,} bytes" in DOCUMENT
    assert f"1 to {MAX_ID_BYTES} bytes" in DOCUMENT


def test_every_result_field_is_documented() -> None:
    fields = set(Result.__struct_fields__) - {"extra", "index"} | {"v"}
    assert fields <= first_cells(section("Results"))


def test_every_code_the_worker_uses_is_documented() -> None:
    documented = set(re.findall(r"^\| `(?:error|dead|rejected|expired)` \| `([a-z_0-9]+)`", DOCUMENT, re.M))
    source = "".join(
        (WORKER / name).read_text("utf-8")
        for name in ("messages.py", "worker/answer.py", "worker/dispatch.py", "worker/stream.py")
    )
    used = set(re.findall(r'(?:\(|, |message = )"([a-z0-9]+_[a-z0-9_]+)", (?:f?"|str\()', source)) | {
        "deadline",
        LOST[0],
    }
    used -= set(Result.__struct_fields__)
    assert {"bad_version", "no_text", "not_utf8", "bad_field"} <= used
    assert {"worker_lost", "timed_out", "inference_failed", "deliveries_exhausted"} <= used
    assert used - {"bad_result"} <= documented
    errors = (WORKER / "errors.py").read_text("utf-8")
    assert set(re.findall(r'^    code = "([a-z_]+)"', errors, re.M)) <= documented


def commands() -> list[list[str]]:
    text = "\n".join(re.findall(r"```sh\n(.*?)```", DOCUMENT, re.S)).replace("\\\n", "")
    return [shlex.split(line)[1:] for line in text.splitlines() if line.startswith("redis-cli")]


def test_the_examples_run_in_their_order(redis: Any, redis_url: str) -> None:
    redis.response_callbacks.clear()
    outcomes = {}
    with FakeWorker(redis_url, QUEUE, str.upper):
        for command in commands():
            outcomes[" ".join(command[:1] + [part for part in command if part.startswith("sortgate:")][:1])] = (
                redis.execute_command(*command)
            )
    (stream, entries) = outcomes["XREADGROUP sortgate:{tickets}:results"][0]
    assert stream == keys.results(QUEUE)
    fields = entries[0][1]
    result = parse_result(zip(fields[::2], fields[1::2], strict=True))
    assert (result.id, result.label) == ("t-1", "MY SCREEN STAYS BLACK")
    (_, entries) = outcomes["XREAD sortgate:{tickets}:reply:5f0c9a"][0]
    assert entries[0][1][:6] == ["v", "1", "id", "t-2", "status", "ok"]
    assert outcomes["DEL sortgate:{tickets}:reply:5f0c9a"] == 1


def test_the_three_line_script_keeps_the_bound(redis: Any) -> None:
    (script,) = re.findall(r"```lua\n(.*?)```", DOCUMENT, re.S)
    assert len(script.strip().splitlines()) == 3
    flat = [part for pair in request_fields("a text", "t").items() for part in pair]
    added = [redis.eval(script, 1, keys.requests(QUEUE), 2, *flat) for _ in range(3)]
    assert added[2] is None
    assert [entry for entry, _ in redis.xrange(keys.requests(QUEUE))] == added[:2]
    assert redis.xrange(keys.requests(QUEUE))[0][1] == request_fields("a text", "t")


@pytest.mark.parametrize("priority", ["high", "normal", "low"])
def test_the_client_sends_only_documented_fields(redis: Any, redis_url: str, priority: Any) -> None:
    with Client(redis_url, QUEUE, producer="p") as client:
        client.submit(["a"], deadline_s=9, model="m", meta="x", priority=priority)
    ((_, fields),) = redis.xrange(keys.requests(QUEUE, priority))
    assert fields.keys() <= first_cells(section("Requests"))
    assert f"| `{keys.requests(QUEUE, priority).replace(QUEUE, '<queue>')}` |" in DOCUMENT

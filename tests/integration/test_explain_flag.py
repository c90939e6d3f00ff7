"""A request with ``explain`` on a real worker: by the client, and by raw Redis commands."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py

from sortgate import AsyncClient, Classifier, Client
from waiting import wait_for

StartWorker = Callable[..., Any]
TEXT = "hello world please help xyzzy"


def test_the_client_gets_what_the_classifier_explains(
    start_worker: StartWorker, redis_url: str, toy_bundle: Path
) -> None:
    start_worker()
    expected = Classifier.load(toy_bundle).explain(TEXT, method="occlusion")
    with Client(redis_url, queue="toy") as client:
        plain = client.classify(TEXT, timeout=20)
        explained = client.classify(TEXT, timeout=20, explain=True)
        (streamed,) = client.stream([TEXT], explain=True)
        client.submit([TEXT], explain=True)
        (submitted,) = client.results(max=1, timeout=20)
    assert plain.explanation is None
    assert (explained.label, explained.score) == (plain.label, plain.score)
    found = explained.explanation
    assert found is not None
    assert found == streamed.explanation == submitted.explanation
    assert (found.label, found.skipped) == (expected.label, None)
    assert [piece.text for piece in found.tokens] == [effect.token for effect in expected.tokens]
    assert [bool(piece.unknown) for piece in found.tokens] == [not effect.known for effect in expected.tokens]
    for piece, effect in zip(found.tokens, expected.tokens, strict=True):
        assert piece.occlusion == pytest.approx(effect.occlusion, abs=1e-3)

    async def ask() -> Any:
        async with AsyncClient(redis_url, queue="toy") as client:
            return await client.classify([TEXT, "hello"], timeout=20, explain=True)

    assert [result.explanation is not None for result in asyncio.run(ask())] == [True, True]


def test_raw_commands_get_json(start_worker: StartWorker, redis: redis_py.Redis) -> None:
    start_worker()
    for number, explain in enumerate(["1", "0", "why"]):
        redis.execute_command(
            "XADD", "sortgate:{toy}:requests", "*", "v", "1", "id", str(number), "text", TEXT, "explain", explain
        )
    wait_for(lambda: redis.xlen("sortgate:{toy}:results") == 3, 30.0)
    results = {fields["id"]: fields for _, fields in redis.xrange("sortgate:{toy}:results")}
    found = json.loads(results["0"]["explanation"])
    assert found["label"] == results["0"]["label"]
    assert [piece[0] for piece in found["tokens"]] == TEXT.split()
    assert "explanation" not in results["1"]
    assert (results["2"]["status"], results["2"]["code"]) == ("rejected", "bad_field")


def test_a_batch_in_which_all_want_one_is_answered(start_worker: StartWorker, redis_url: str) -> None:
    start_worker()
    texts = [f"{TEXT} {'word3 ' * (number % 60)}" for number in range(300)]
    with Client(redis_url, queue="toy") as client:
        results = list(client.stream(texts, explain=True))
    assert [result.status for result in results] == ["ok"] * len(texts)
    assert all(result.explanation is not None for result in results)
    assert sum(result.explanation.skipped is None for result in results if result.explanation) > 100

"""``pip install sortgate``: the client and the plugin API, and nothing heavy."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from sortgate import keys


@pytest.fixture(scope="module")
def base(create_environment: Callable[..., Any]) -> Any:
    """The base install, alone."""
    return create_environment("sortgate")


def test_brings_neither_celery_nor_onnxruntime_nor_numpy(base: Any) -> None:
    heavy = ("celery", "kombu", "onnxruntime", "numpy", "torch", "click", "rich", "tokenizers", "sortgate_training")
    assert base.has(*heavy) == dict.fromkeys(heavy, False)
    assert base.has("redis", "hiredis", "msgspec", "pluggy") == dict.fromkeys(
        ("redis", "hiredis", "msgspec", "pluggy"), True
    )


def test_public_names_import(base: Any) -> None:
    loaded = base.python(
        "from sortgate import Client, AsyncClient, Prediction, hookimpl\n"
        "import sys, json; print(json.dumps(list(sys.modules)))"
    )
    assert "sortgate.client" in json.loads(loaded)


def test_client_speaks_to_redis(base: Any, redis_url: str, redis: Any) -> None:
    code = "from sortgate import Client\nwith Client(queue='toy') as client: print(*client.submit(['hello world']))"
    ident = base.python(code, SORTGATE_REDIS_URL=redis_url)
    [(_, fields)] = redis.xrange(keys.requests("toy"))
    assert (fields["id"], fields["text"], fields["v"]) == (ident, "hello world", "1")


def test_command_prints_the_install_line(base: Any) -> None:
    done = base.run("sortgate", "worker")
    assert done.returncode != 0
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert 'pip install "sortgate[cli]"' in line


def test_classifier_says_what_is_missing(base: Any) -> None:
    done = base.run("python", "-c", "from sortgate import Classifier")
    assert done.returncode != 0
    assert "sortgate[inference]" in done.stderr.splitlines()[-1]

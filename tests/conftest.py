"""Fixtures shared by all tests: a private Redis, a small bundle, and workers as real processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis as redis_py

from sortgate.embedded import EmbeddedRedis


@pytest.fixture(scope="session")
def redis_server() -> Iterator[EmbeddedRedis]:
    """A private Redis server for the whole run."""
    with EmbeddedRedis() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: EmbeddedRedis) -> Iterator[str]:
    """URL of an empty Redis."""
    with redis_py.Redis.from_url(redis_server.url) as client:
        client.flushall()
        client.config_set("maxmemory", 0)
        client.config_set("maxmemory-policy", "noeviction")
    yield redis_server.url


@pytest.fixture
def redis(redis_url: str) -> Iterator[redis_py.Redis]:
    """A client of that Redis that returns str."""
    with redis_py.Redis.from_url(redis_url, decode_responses=True, protocol=2) as client:
        yield client


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the reference data sets; a machine without them skips."""
    folder = os.environ.get("SORTGATE_TEST_DATA", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("SORTGATE_TEST_DATA names no folder of reference data sets")
    return Path(folder)

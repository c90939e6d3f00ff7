"""Settings are read once, and values that would stall or lose texts are refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from sortgate.errors import ConfigurationError
from sortgate.settings import Settings


def test_reads_every_type_and_overrides_win() -> None:
    env = {
        "SORTGATE_QUEUES": "a, b=name",
        "SORTGATE_MODELS_DIR": "/m",
        "SORTGATE_LEASE_S": "2.5",
        "SORTGATE_BATCH_TEXTS": "16",
        "SORTGATE_ALLOW_EVICTION": "yes",
        "SORTGATE_PLUGINS": "",
        "SORTGATE_REDIS_URL": "redis://one",
    }
    settings = Settings.from_env(env, redis_url="redis://two")
    assert settings.queues == ("a", "b=name")
    assert settings.models_dir == Path("/m")
    assert (settings.lease_s, settings.batch_texts, settings.allow_eviction) == (2.5, 16, True)
    assert settings.plugins == (), "set and empty allows none"
    assert settings.redis_url == settings.broker == "redis://two"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BATCH_TEXTS", "0"),
        ("BATCH_TEXTS", "many"),
        ("LEASE_S", "nan"),
        ("LEASE_S", "0"),
        ("SOCKET_TIMEOUT_S", "0"),
        ("SOCKET_TIMEOUT_S", "inf"),
        ("MAX_DELIVERIES", "2"),
        ("DEDUPE_WINDOW_S", "-1"),
        ("ALLOW_EVICTION", "maybe"),
        ("METRICS_PORT", "65536"),
        ("HEALTH_TIMEOUT_S", "0.5"),
    ],
)
def test_refuses_values_that_would_stall_or_lose_texts(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=f"SORTGATE_{name}"):
        Settings.from_env({f"SORTGATE_{name}": value})


def test_names_that_are_nearly_a_setting_are_known_from_those_of_others() -> None:
    mistyped = {"SORTGATE_LEASE": "SORTGATE_LEASE_S", "SORTGATE_BATCH_TEXT": "SORTGATE_BATCH_TEXTS"}
    others = {"SORTGATE_WORKER_SERVICE_HOST", "SORTGATE_WORKER_PORT", "SORTGATE_TEST_DATA", "SORTGATE_LEASE_S", "LEASE"}
    assert Settings.mistyped(dict.fromkeys([*mistyped, *others], "1")) == mistyped

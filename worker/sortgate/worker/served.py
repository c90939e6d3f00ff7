"""Which bundle serves which queue, checked before the worker takes its first text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import redis

from sortgate import keys
from sortgate.bundle import Bundle
from sortgate.errors import BrokerError, BundleNotFoundError, ConfigurationError
from sortgate.settings import Settings
from sortgate.streams.connection import connection_options, without_password
from sortgate.streams.redirect import node_serving, point
from sortgate.worker.endpoint import Endpoint

MIN_REDIS = (6, 2)


def served_bundles(queues: Sequence[str], models_dir: Path) -> dict[str, Path]:
    """Return queue → folder of its bundle for ``["a", "b=name"]``.

    Raises:
        ConfigurationError: no queue, a bad queue name, or one queue named twice.
    """
    if not queues:
        raise ConfigurationError(
            "no queue to serve: give --queues a,b=name or SORTGATE_QUEUES "
            "(queue a is served by models/a, queue b by models/name)"
        )
    served: dict[str, Path] = {}
    for item in queues:
        queue, _, name = item.partition("=")
        keys.check_queue(queue)
        if queue in served:
            raise ConfigurationError(f"queue {queue!r} is named twice")
        served[queue] = models_dir / (name or queue)
    return served


def check_bundles(served: Mapping[str, Path]) -> dict[str, Bundle]:
    """Open and verify every bundle; returns queue → bundle.

    Raises:
        BundleError: a bundle is missing, changed, or not signed as ``SORTGATE_TRUSTED_KEYS`` asks.
    """
    bundles = {}
    for queue, path in served.items():
        try:
            bundles[queue] = Bundle.open(path)
        except BundleNotFoundError as error:
            raise BundleNotFoundError(f"queue {queue!r}: {error}") from None
    return bundles


def check_redis(settings: Settings, queues: Iterable[str] = ()) -> str:
    """Return the server's version after checking that texts are safe there, and on the nodes that serve ``queues``.

    Raises:
        ConfigurationError: too old, or its eviction policy can drop messages.
        BrokerError: absent or refusing.
    """
    try:
        with redis.Redis.from_url(settings.redis_url, **connection_options(settings)) as link:
            version = _check_server(link, settings)
            elsewhere = {node_serving(link, queue) for queue in queues} - {None}
        for node in elsewhere:
            with redis.Redis.from_url(settings.redis_url, **connection_options(settings)) as link:
                point(link.connection_pool.connection_kwargs, node)
                _check_server(link, settings)
    except (redis.RedisError, OSError) as error:
        raise BrokerError(f"Redis at {without_password(settings.redis_url)} cannot be used: {error}") from None
    return version


def _check_server(link: redis.Redis, settings: Settings) -> str:
    info: Any = link.info()
    version = str(info["redis_version"])
    numbers = tuple(int(part) for part in version.split(".")[:2])
    if numbers < MIN_REDIS:
        raise ConfigurationError(f"Redis {version} is too old: 6.2 or newer is needed")
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction" and not settings.allow_eviction:
        raise ConfigurationError(
            f"Redis may drop texts when its memory is full (maxmemory-policy {policy}): "
            "set it to noeviction, or start with SORTGATE_ALLOW_EVICTION=1 to run all the same"
        )
    return version


def preflight(settings: Settings) -> None:
    """Check everything a worker needs before a process is forked or a text is taken.

    Raises:
        SortgateError: the first thing that is wrong.
    """
    served = served_bundles(settings.queues, settings.models_dir)
    check_bundles(served)
    check_redis(settings, served)
    # only tried here: Celery prints its banner before the worker opens it
    if (endpoint := Endpoint.from_settings(settings)) is not None:
        endpoint.close()

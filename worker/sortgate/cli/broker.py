"""What the commands that talk to Redis share: their options and a connection whose errors are one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click
import redis

from sortgate.client.connection import broker_error, create_redis
from sortgate.settings import Settings
from sortgate.streams.redirect import node_serving

REDIS_HELP = f"Redis of the streams.  [env: SORTGATE_REDIS_URL; default: {Settings.redis_url}]"

_Command = TypeVar("_Command", bound=Callable[..., Any])


def redis_option(command: _Command) -> _Command:
    """Give a command the option ``--redis-url``."""
    return click.option("--redis-url", help=REDIS_HELP)(command)


def queue_option(command: _Command) -> _Command:
    """Give a command the required option ``--queue``."""
    return click.option("--queue", required=True, help="Name of the queue.")(command)


@contextmanager
def connected(redis_url: str | None, queue: str = "") -> Iterator[tuple[redis.Redis, Settings]]:
    """Open a connection that returns str, to the node that serves ``queue`` where there are several.

    Raises:
        ConfigurationError: the URL or a ``SORTGATE_*`` variable cannot be read.
        BrokerError: Redis is absent or refuses.
    """
    settings = Settings.from_env(redis_url=redis_url)
    try:
        with open_at(settings, queue) as link:
            yield link, settings
    except (redis.RedisError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise broker_error(error, settings) from None


def open_at(settings: Settings, queue: str) -> redis.Redis:
    """Return a connection to the node that serves a queue, to the URL's own without a queue."""
    link = create_redis(settings)
    if queue and (node := node_serving(link, queue)) is not None:
        link.close()
        link = create_redis(settings, node)
    return link

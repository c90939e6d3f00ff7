"""How every part of Sortgate connects to Redis: no call may wait for ever, and no password may be shown."""

from __future__ import annotations

import re
import socket
from typing import Any
from urllib.parse import urlsplit

import redis

from sortgate.errors import ConfigurationError
from sortgate.settings import Settings

_SCHEMES = ("redis://", "rediss://", "unix://")


def connection_options(settings: Settings) -> dict[str, Any]:
    """Return redis-py's options for ``Redis.from_url(settings.redis_url, **options)``.

    Raises:
        ConfigurationError: the URL is not one of a Redis server.
    """
    url = settings.redis_url
    if not url.startswith(_SCHEMES):
        raise ConfigurationError(f"{without_password(url)!r} is no Redis URL: use redis://, rediss:// or unix://")
    try:
        redis.ConnectionPool.from_url(url)  # connects to nothing
        if not url.startswith("unix://") and (number := urlsplit(url).path.strip("/")):
            int(number)
    except ValueError as error:
        raise ConfigurationError(
            f"{without_password(url)!r} is no Redis URL, as in redis://host:6379/0: {error}"
        ) from None
    options: dict[str, Any] = {
        "socket_timeout": settings.socket_timeout_s,
        "socket_connect_timeout": min(2.0, settings.socket_timeout_s),
        # replies of one shape whatever the server's default
        "protocol": 2,
    }
    if not url.startswith("unix://"):
        options["socket_keepalive"] = True
        if hasattr(socket, "TCP_KEEPIDLE"):
            # Linux waits two hours before its first probe otherwise
            options["socket_keepalive_options"] = {
                socket.TCP_KEEPIDLE: 30,
                socket.TCP_KEEPINTVL: 10,
                socket.TCP_KEEPCNT: 6,
            }
    return options


def without_password(url: str) -> str:
    """Return ``url`` with its password, if any, replaced by ``***``."""
    return re.sub(r"(?<=://)([^/?#@:]*:)[^/?#]*@", r"\1***@", re.sub(r"([?&]password=)[^&]*", r"\1***", url))

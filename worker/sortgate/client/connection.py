"""Connections to Redis: time-outs always set, errors typed, and passwords kept out of messages."""

from __future__ import annotations

import re
import socket
from typing import Any
from urllib.parse import urlsplit

import redis
import redis.asyncio
import redis.asyncio.retry
from redis.backoff import NoBackoff
from redis.retry import Retry

from sortgate.errors import BrokerError, ClientError, ConfigurationError, QueueFullError
from sortgate.settings import Settings

_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 6}
_HEALTH_CHECK_S = 5
# Inside a script's error the code stands anywhere: Redis 6.2 wraps it in "ERR Error running script (…): -OOM …".
_ERROR_CODE = re.compile(r"\b(OOM|MISCONF|READONLY|NOAUTH|WRONGPASS|NOPERM|LOADING|NOREPLICAS|WRONGTYPE)\b")
_SENTENCES = {
    "MISCONF": "cannot write to its disk and refuses writes until it can",
    "READONLY": "is a read-only replica; point the URL at the primary",
    "NOAUTH": "asks for a password; put it into the URL (redis://:password@host)",
    "WRONGPASS": "refuses the user name or password of the URL",
    "NOPERM": "does not let this user run a command or touch a key that Sortgate needs",
    "LOADING": "is still loading its data",
    "NOREPLICAS": "has too few replicas to accept writes",
}
_NOT_RETRIABLE = {"NOAUTH", "WRONGPASS", "NOPERM", "WRONGTYPE"}


def connection_options(settings: Settings) -> dict[str, Any]:
    """Return redis-py's connection options; without them a silent peer would block a call for ever.

    RESP2 is asked for, so that replies have one shape on every server and redis-py release.
    """
    options: dict[str, Any] = {
        "socket_timeout": settings.socket_timeout_s,
        "socket_connect_timeout": settings.socket_timeout_s,
        "health_check_interval": _HEALTH_CHECK_S,
        "protocol": 2,
    }
    if not settings.redis_url.startswith("unix://"):
        options["socket_keepalive"] = True
        options["socket_keepalive_options"] = {
            getattr(socket, name): value for name, value in _KEEPALIVE.items() if hasattr(socket, name)
        }
    return options


def create_redis(settings: Settings) -> redis.Redis:
    """Return a redis-py client that decodes replies and retries nothing by itself; does not connect yet.

    Raises:
        ConfigurationError: the URL cannot be read.
    """
    try:
        return redis.Redis.from_url(
            settings.redis_url,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
            encoding_errors="replace",
            **connection_options(settings),
        )
    except (ValueError, TypeError) as error:
        raise _bad_url(settings.redis_url, error) from None


def create_async_redis(settings: Settings) -> redis.asyncio.Redis:
    """Return the asyncio twin of :func:`create_redis`."""
    try:
        return redis.asyncio.Redis.from_url(
            settings.redis_url,
            retry=redis.asyncio.retry.Retry(NoBackoff(), 0),
            decode_responses=True,
            encoding_errors="replace",
            **connection_options(settings),
        )
    except (ValueError, TypeError) as error:
        raise _bad_url(settings.redis_url, error) from None


def safe_url(url: str) -> str:
    """Return a Redis URL without user, password and query, fit for messages and logs."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "(unreadable URL)"
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path}"


def broker_error(error: BaseException, settings: Settings) -> ClientError:
    """Return what to raise for an error of redis-py: who failed, why, and never a password or a text."""
    where = f"Redis at {safe_url(settings.redis_url)}"
    if isinstance(error, redis.TimeoutError | TimeoutError):
        return BrokerError(f"{where} did not answer within {settings.socket_timeout_s:g} s")
    said = str(error)
    if isinstance(error, redis.AuthenticationError):
        code = "WRONGPASS" if _has_password(settings.redis_url) else "NOAUTH"
    else:
        found = _ERROR_CODE.search(said)
        code = found.group(1) if found else ""
    if code == "OOM" or isinstance(error, redis.exceptions.OutOfMemoryError):
        return QueueFullError(f"{where} is at its memory limit (maxmemory); nothing was enqueued")
    broken = BrokerError(f"{where} {_SENTENCES[code]}" if code in _SENTENCES else f"{where}: {_first_line(said)}")
    if code in _NOT_RETRIABLE:
        broken.retriable = False
    return broken


def _has_password(url: str) -> bool:
    try:
        return bool(urlsplit(url).password) or "password=" in urlsplit(url).query
    except ValueError:
        return False


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0][:300] if text.strip() else "the link broke"


def _bad_url(url: str, error: Exception) -> ConfigurationError:
    said = str(error)
    reason = said if url not in said else "not a Redis URL"
    return ConfigurationError(f"Redis URL {safe_url(url)!r}: {reason} (use redis://host:port/db, rediss:// or unix://)")

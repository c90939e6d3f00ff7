"""Connections to Redis: time-outs always set, errors typed, and passwords kept out of messages."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import redis
import redis.asyncio
import redis.asyncio.retry
from redis.backoff import NoBackoff
from redis.retry import Retry

from sortgate.errors import BrokerError, ClientError, ConfigurationError, QueueFullError
from sortgate.settings import Settings
from sortgate.streams.connection import connection_options, without_password
from sortgate.streams.redirect import Node, point

#: A connection unused for longer is tried before it is trusted.
_HEALTH_CHECK_S = 5
# Inside a script's error the code stands anywhere: Redis 6.2 wraps it in "ERR Error running script (…): -OOM …".
_ERROR_CODE = re.compile(r"\b(OOM|MISCONF|READONLY|NOAUTH|WRONGPASS|NOPERM|LOADING|NOREPLICAS|WRONGTYPE)\b")
# redis-py cuts the code off the errors it has a class for.
_CLASSES: dict[type[Exception], str] = {
    redis.exceptions.OutOfMemoryError: "OOM",
    redis.exceptions.ReadOnlyError: "READONLY",
    redis.exceptions.NoPermissionError: "NOPERM",
    redis.exceptions.BusyLoadingError: "LOADING",
    redis.exceptions.MovedError: "MOVED",  # before AskError, of which it is one
    redis.exceptions.AskError: "TRYAGAIN",
    redis.exceptions.ClusterDownError: "CLUSTERDOWN",
    redis.exceptions.TryAgainError: "TRYAGAIN",
}
_SENTENCES = {
    "MISCONF": "cannot write to its disk and refuses writes until it can",
    "READONLY": "is a read-only replica; point the URL at the primary",
    "NOAUTH": "asks for a password; put it into the URL (redis://:password@host)",
    "WRONGPASS": "refuses the user name or password of the URL",
    "NOPERM": "does not let this user run a command or touch a key that Sortgate needs",
    "LOADING": "is still loading its data",
    "NOREPLICAS": "has too few replicas to accept writes",
    "MOVED": "belongs to a cluster whose nodes do not agree on who serves this queue",
    "CLUSTERDOWN": "belongs to a cluster that is down, or lacks the node of this queue",
    "TRYAGAIN": "is handing this queue to another node of its cluster",
}
_NOT_RETRIABLE = {"NOAUTH", "WRONGPASS", "NOPERM", "WRONGTYPE"}


def create_redis(settings: Settings, node: Node | None = None) -> redis.Redis:
    """Return a redis-py client that decodes replies and retries nothing by itself; does not connect yet.

    With ``node``, it goes to that node of the cluster of which the URL names another.

    Raises:
        ConfigurationError: the URL cannot be read.
    """
    try:
        client = redis.Redis.from_url(
            settings.redis_url,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
            encoding_errors="replace",
            health_check_interval=_HEALTH_CHECK_S,
            **connection_options(settings),
        )
        point(client.connection_pool.connection_kwargs, node)
        return client
    except (ValueError, TypeError) as error:
        raise _bad_url(settings.redis_url, error) from None


def create_async_redis(settings: Settings, node: Node | None = None) -> redis.asyncio.Redis:
    """Return the asyncio twin of :func:`create_redis`."""
    try:
        client = redis.asyncio.Redis.from_url(
            settings.redis_url,
            retry=redis.asyncio.retry.Retry(NoBackoff(), 0),
            decode_responses=True,
            encoding_errors="replace",
            health_check_interval=_HEALTH_CHECK_S,
            **connection_options(settings),
        )
        point(client.connection_pool.connection_kwargs, node)
        return client
    except (ValueError, TypeError) as error:
        raise _bad_url(settings.redis_url, error) from None


def broker_error(error: BaseException, settings: Settings) -> ClientError:
    """Return what to raise for an error of redis-py: who failed, why, and never a password or a text."""
    where = f"Redis at {without_password(settings.redis_url)}"
    if isinstance(error, redis.TimeoutError | TimeoutError):
        return BrokerError(f"{where} did not answer within {settings.socket_timeout_s:g} s")
    said = str(error)
    code = _code(error, said, settings.redis_url)
    if code == "OOM":
        return QueueFullError(f"{where} is at its memory limit (maxmemory); nothing was enqueued")
    broken = BrokerError(f"{where} {_SENTENCES[code]}" if code in _SENTENCES else f"{where}: {_first_line(said)}")
    if code in _NOT_RETRIABLE:
        broken.retriable = False
    return broken


def _code(error: BaseException, said: str, url: str) -> str:
    if isinstance(error, redis.AuthenticationError):
        return "WRONGPASS" if _has_password(url) else "NOAUTH"
    for kind, code in _CLASSES.items():
        if isinstance(error, kind):
            return code
    found = _ERROR_CODE.search(said)
    return found.group(1) if found else ""


def _has_password(url: str) -> bool:
    try:
        return bool(urlsplit(url).password) or "password=" in urlsplit(url).query
    except ValueError:
        return False


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0][:300] if text.strip() else "the link broke"


def _bad_url(url: str, error: Exception) -> ConfigurationError:
    reason = str(error) if url not in str(error) else "cannot be read"
    return ConfigurationError(f"Redis URL {without_password(url)!r}: {reason}")

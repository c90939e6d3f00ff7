"""Exit status 0 when this host's worker has lately renewed its heartbeat on every queue of ``SORTGATE_QUEUES``."""

from __future__ import annotations

import socket
import sys

import redis

from sortgate.settings import Settings
from sortgate.streams.admin import queue_stats


def silent_queues(settings: Settings, host: str) -> list[str]:
    """Return the queues on which no worker of ``host`` has reported itself within its lease."""
    names = [item.partition("=")[0] for item in settings.queues]
    with redis.Redis.from_url(
        settings.redis_url, decode_responses=True, socket_timeout=3, socket_connect_timeout=3
    ) as link:
        return [
            name
            for name in names
            if not any(beat.host == host and beat.age_s < settings.lease_s for beat in queue_stats(link, name).workers)
        ]


def main() -> int:
    """Return the exit status."""
    settings = Settings.from_env()
    if not settings.queues:
        print("SORTGATE_QUEUES is not set")  # noqa: T201
        return 1
    try:
        silent = silent_queues(settings, socket.gethostname())
    except redis.RedisError as error:
        print(f"Redis: {type(error).__name__}")  # noqa: T201
        return 1
    if silent:
        print(f"no heartbeat on {', '.join(silent)}")  # noqa: T201
    return 1 if silent else 0


if __name__ == "__main__":
    sys.exit(main())
